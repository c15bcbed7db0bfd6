//! Command lines as a README shows them.

/// Splits a command line into words as a shell does: quotes, backslashes, a comment at the end.
/// `None` when a quote is left open.
pub fn words(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '#' if word.is_none() => break,
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        end if end == c => break,
                        '\\' if c == '"' => word.push(chars.next()?),
                        other => word.push(other),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

/// The commands of a block of shell code with the offset of their first line: prompts and variables
/// set for one command are left out, a backslash at the end continues a line.
/// A command is `None` when a quote is left open.
pub fn commands(block: &str) -> Vec<(usize, Option<Vec<String>>)> {
    let mut commands = Vec::new();
    let mut lines = (0..).zip(block.lines());
    while let Some((at, line)) = lines.next() {
        let mut whole = line.to_owned();
        while let Some(cut) = whole.strip_suffix('\\').map(str::to_owned) {
            whole = cut + lines.next().map_or("", |(_, line)| line);
        }
        let whole = whole.trim_start();
        let command = words(whole.strip_prefix("$ ").unwrap_or(whole)).map(|mut words| {
            let n_variables = words.iter().take_while(|word| is_assignment(word)).count();
            words.drain(..n_variables);
            words
        });
        if command.as_ref().is_none_or(|words| !words.is_empty()) {
            commands.push((at, command));
        }
    }
    commands
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    name.is_some_and(|name| !name.is_empty() && is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_shell() {
        let split = words("a 'b c' \"d \\\" #e\" f\\ g '' # h").unwrap();
        assert_eq!(split, ["a", "b c", "d \" #e", "f g", ""]);
        assert_eq!(words("a#b").unwrap(), ["a#b"]);
        assert_eq!(words(""), Some(Vec::new()));
    }

    #[test]
    fn an_open_quote_is_no_command() {
        assert_eq!(words("a 'b"), None);
        assert_eq!(words("a \"b\\"), None);
    }

    #[test]
    fn commands_lose_prompt_and_variables() {
        let block = "# first\n$ A_B=1 tenon train \\\n  x.yaml\n\ntenon eval 'y\n";
        let found = commands(block);
        let first = ["tenon", "train", "x.yaml"].map(str::to_owned).to_vec();
        assert_eq!(found, [(1, Some(first)), (4, None)]);
    }
}
