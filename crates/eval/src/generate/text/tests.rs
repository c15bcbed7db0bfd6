use tenon_base::Kind;
use tenon_data::vocab::{ByteTokenizer, CharTokenizer, Eos, gpt2};

use super::*;
use crate::fixture::{CONTEXT as ROOM, device, models};
use crate::generate::Reason;

fn generator() -> Generator {
    let (spec, weights) = models(257).remove(2);
    Generator::new(&spec, &weights, device(1), 2, ROOM).unwrap()
}

fn prompts() -> Vec<String> {
    ["Once", "Once upon a time", "é", ""]
        .map(str::to_owned)
        .into()
}

fn written(settings: &Sampling, stops: &[&str]) -> (Vec<Written>, Vec<String>) {
    let stops: Vec<String> = stops.iter().map(|s| s.to_string()).collect();
    let mut shown = vec![String::new(); 4];
    let mut show = |i: usize, text: &str| {
        assert!(!text.is_empty());
        shown[i].push_str(text);
        Flow::Continue
    };
    let mut generator = generator();
    let all = write(
        &mut generator,
        &ByteTokenizer,
        &prompts(),
        settings,
        &stops,
        &mut show,
    );
    (all.unwrap(), shown)
}

#[test]
fn shown_pieces_join_to_the_text_of_the_tokens() {
    let (all, shown) = written(&Sampling::drawn(20, 3), &[]);
    for ((written, shown), prompt) in all.iter().zip(&shown).zip(prompts()) {
        assert_eq!(&written.text, shown);
        assert_eq!(
            written.text,
            ByteTokenizer.decode(&written.generated.tokens)
        );
        assert_eq!(written.generated.tokens.len(), 20);
        assert_eq!(ByteTokenizer.decode(&written.prompt), prompt);
    }
    assert_eq!(all[3].prompt, [256], "an empty prompt begins with eos");
}

#[test]
fn a_stop_text_ends_a_sequence_and_is_not_part_of_it() {
    let (free, _) = written(&Sampling::drawn(20, 3), &[]);
    // A stop text of two characters from the middle of the first continuation.
    let chars: Vec<(usize, char)> = free[0].text.char_indices().collect();
    let stop = &free[0].text[chars[7].0..chars[9].0];
    let (all, shown) = written(&Sampling::drawn(20, 3), &[stop]);
    let at = free[0].text.find(stop).unwrap();
    assert_eq!(all[0].text, free[0].text[..at]);
    assert_eq!(all[0].generated.reason, Reason::Stopped);
    assert!(all[0].generated.tokens.len() < 20);
    for (written, shown) in all.iter().zip(&shown) {
        assert_eq!(&written.text, shown);
        assert!(!written.text.contains(stop));
    }
}

#[test]
fn the_listener_can_stop() {
    let stop = |_: usize, _: &str| Flow::StopAll;
    let settings = Sampling::greedy(20);
    let all = write(
        &mut generator(),
        &ByteTokenizer,
        &prompts(),
        &settings,
        &[],
        &mut { stop },
    );
    let all = all.unwrap();
    assert!(all.iter().all(|w| w.generated.reason == Reason::Stopped));
    assert!(all.iter().map(|w| w.generated.tokens.len()).sum::<usize>() < 20);
}

#[test]
fn empty_stop_texts_are_refused() {
    let mut show = |_: usize, _: &str| Flow::Continue;
    let stops = [String::new()];
    let settings = Sampling::greedy(2);
    let result = write(
        &mut generator(),
        &ByteTokenizer,
        &prompts(),
        &settings,
        &stops,
        &mut show,
    );
    assert_eq!(result.unwrap_err().kind(), Kind::Usage);
}

#[test]
fn an_empty_prompt_needs_an_id_that_begins_a_text() {
    assert_eq!(prompt_ids(&ByteTokenizer, "").unwrap(), [256]);
    assert_eq!(prompt_ids(&gpt2(), "").unwrap(), [50256]);
    let bare = CharTokenizer::fit(["ab"], Eos::Absent).unwrap();
    let error = prompt_ids(&bare, "").unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.message().contains("no id that begins a text"));
    assert_eq!(prompt_ids(&bare, "ba").unwrap().len(), 2);
    assert_eq!(prompt_ids(&bare, "x").unwrap_err().kind(), Kind::Data);
}

/// A tokenizer that frames each text as BERT does, and drops the space before a text's first word
/// as SentencePiece does.
struct Framed;

impl Tokenizer for Framed {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let words = text
            .split(' ')
            .filter(|w| !w.is_empty())
            .map(|w| w.len() as u32 + 1);
        Ok([0].into_iter().chain(words).chain([1]).collect())
    }
    fn encode_known(&self, text: &str) -> Result<tenon_data::vocab::Known> {
        let ids = self.encode(text)?;
        Ok(tenon_data::vocab::Known { ids, n_unknown: 0 })
    }
    fn decode(&self, ids: &[u32]) -> String {
        let words = ids
            .iter()
            .filter(|id| **id > 1)
            .map(|id| "x".repeat(*id as usize - 1));
        words.collect::<Vec<_>>().join(" ")
    }
    fn vocab_size(&self) -> usize {
        257
    }
    fn specials(&self) -> tenon_data::vocab::Specials {
        tenon_data::vocab::Specials {
            bos: Some(0),
            eos: Some(1),
            ..Default::default()
        }
    }
    fn token_len_bytes(&self, id: u32) -> usize {
        id as usize
    }
    fn spec_name(&self) -> &'static str {
        "file"
    }
    fn files(&self) -> Vec<tenon_data::vocab::TokenizerFile> {
        Vec::new()
    }
}

#[test]
fn a_prompt_does_not_end_with_the_tokenizers_own_end_of_text() {
    assert_eq!(prompt_ids(&Framed, "a bcd").unwrap(), [0, 2, 4]);
    assert_eq!(prompt_ids(&Framed, "").unwrap(), [0]);
    // The text itself ends with eos: it stays.
    assert_eq!(
        prompt_ids(&gpt2(), "a<|endoftext|>").unwrap().last(),
        Some(&50256)
    );
}

#[test]
fn the_space_between_prompt_and_text_is_kept() {
    let mut show = |_: usize, _: &str| Flow::Continue;
    let prompts = ["xx".to_owned(), String::new()];
    let settings = Sampling::greedy(3);
    let all = write(
        &mut generator(),
        &Framed,
        &prompts,
        &settings,
        &[],
        &mut show,
    )
    .unwrap();
    assert!(all[0].text.starts_with(" x"), "{:?}", all[0].text);
    assert!(all[1].text.starts_with('x'), "{:?}", all[1].text);
}

#[test]
fn prompts_are_lines_or_records() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_prompts(&path)
    };
    assert_eq!(read("a.txt", "one\r\n\n two\n").unwrap(), ["one", " two"]);
    let lines = "{\"prompt\": \"a\\nb\", \"id\": 1}\n\n{\"prompt\": \"\", \"id\": 2}\n";
    assert_eq!(read("a.jsonl", lines).unwrap(), ["a\nb", ""]);
    assert_eq!(read("a.csv", "id,prompt\n1,x\n").unwrap(), ["x"]);
}

#[test]
fn files_without_prompts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refuses = |name: &str, content: &[u8], kind, message: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = read_prompts(&path).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(message), "{error}");
    };
    refuses("empty.txt", b"", Kind::Data, "empty");
    refuses("blank.txt", b"\n\n", Kind::Data, "no text");
    refuses("binary.txt", b"a\0b", Kind::Data, "NUL");
    refuses("latin.txt", b"caf\xe9", Kind::Data, "UTF-8");
    refuses(
        "a.jsonl",
        b"{\"text\": \"x\"}",
        Kind::Data,
        "no column `prompt`",
    );
    refuses("b.jsonl", b"{\"prompt\": 3}", Kind::Data, "a number");
    refuses(
        "b.parquet",
        b"{\"prompt\": 3}",
        Kind::Data,
        "not a Parquet file",
    );
    let absent = read_prompts(&folder.path().join("absent.txt")).unwrap_err();
    assert_eq!(absent.kind(), Kind::Io);
}
