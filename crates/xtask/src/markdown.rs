//! What the rules need to know of a Markdown file: links, headings, code.

/// A piece of a Markdown file and its line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The line of its first character.
    pub line: usize,
    /// Its text: the target of a link, the title of a heading, what stands between back-ticks.
    pub text: String,
}

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// 1 for `#`, 2 for `##` and so on.
    pub level: usize,
    /// Its line, counted from 1.
    pub line: usize,
    /// Its title, back-ticks included.
    pub title: String,
}

/// A fenced block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The word after the fence, possibly empty.
    pub language: String,
    /// The line of its first line of code, counted from 1.
    pub line: usize,
    /// The code.
    pub text: String,
}

/// The lines outside fenced blocks, counted from 1, and the blocks.
fn parts(text: &str) -> (Vec<(usize, &str)>, Vec<Block>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::<Block>::new());
    let mut is_open = false;
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(language) = text.trim_start().strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                let language = language.trim().to_owned();
                blocks.push(Block {
                    language,
                    line: line + 1,
                    text: String::new(),
                });
            }
        } else if is_open {
            let block = blocks.last_mut().expect("a fence opened it");
            block.text += text;
            block.text.push('\n');
        } else {
            prose.push((line, text));
        }
    }
    (prose, blocks)
}

/// The fenced blocks.
pub fn blocks(text: &str) -> Vec<Block> {
    parts(text).1
}

/// The headings, in order.
pub fn headings(text: &str) -> Vec<Heading> {
    let heading = |(line, text): (usize, &str)| {
        let level = text.chars().take_while(|c| *c == '#').count();
        let title = text[level..].strip_prefix(' ').filter(|_| level > 0)?;
        let title = title.trim().to_owned();
        Some(Heading { level, line, title })
    };
    parts(text).0.into_iter().filter_map(heading).collect()
}

/// The code spans outside fenced blocks, in order.
pub fn code_spans(text: &str) -> Vec<Piece> {
    let spans = |(line, text): (usize, &str)| {
        let odd = text.split('`').skip(1).step_by(2).map(str::to_owned);
        odd.map(|text| Piece { line, text }).collect::<Vec<_>>()
    };
    parts(text).0.into_iter().flat_map(spans).collect()
}

/// The targets of links and images outside code, in order.
pub fn links(text: &str) -> Vec<Piece> {
    let targets = |(line, text): (usize, &str)| {
        let prose: String = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let inline = prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let named = prose
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "));
        let all = inline
            .chain(named.map(|(_, target)| target.trim()))
            .map(str::to_owned);
        all.map(|text| Piece { line, text }).collect::<Vec<_>>()
    };
    parts(text).0.into_iter().flat_map(targets).collect()
}

/// The anchor that a heading gets.
pub fn anchor(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c })
        .collect::<String>()
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A `b`, and C
See [d](e.md#f) and `[no](x.md)` and ![g](h.png).
```sh
# no heading
cargo test  # [no](y.md)
```
[i]: j.md
#no heading
";

    #[test]
    fn links_in_code_do_not_count() {
        let links = links(TEXT).into_iter().map(|link| (link.line, link.text));
        let expected = [(2, "e.md#f"), (2, "h.png"), (7, "j.md")];
        let expected = expected.map(|(line, text)| (line, text.to_owned()));
        assert_eq!(links.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn headings_have_anchors() {
        let headings = headings(TEXT);
        assert_eq!(headings.len(), 1);
        assert_eq!((headings[0].level, headings[0].line), (1, 1));
        assert_eq!(anchor(&headings[0].title), "a-b-and-c");
    }

    #[test]
    fn blocks_and_spans_are_told_apart() {
        let blocks = blocks(TEXT);
        let text = "# no heading\ncargo test  # [no](y.md)\n".to_owned();
        assert_eq!(
            blocks,
            [Block {
                language: "sh".to_owned(),
                line: 4,
                text
            }]
        );
        let spans: Vec<String> = code_spans(TEXT).into_iter().map(|span| span.text).collect();
        assert_eq!(spans, ["b", "[no](x.md)"]);
    }
}
