//! GPT-2's byte-level BPE, embedded: 256 bytes, 50,000 merges, `<|endoftext|>`.

use serde_json::{Map, Value, json};

use super::HubTokenizer;
use super::files::{Folder, added_token, own_files};
use super::spell::{byte_symbols, is_printable};

/// Pairs of little-endian `u16` ids, one per merge, in order; `assets/README.md` tells the origin.
const MERGES: &[u8] = include_bytes!("../../assets/gpt2_merges.u16");
const EOT_TOKEN: &str = "<|endoftext|>";

/// GPT-2's tokenizer with its 50,257 ids. `<|endoftext|>` is its eos; in a text it is read as such.
pub fn gpt2() -> HubTokenizer {
    let (tokens, merges) = vocabulary();
    let eot = tokens.len() as u32;
    let mut vocab = Map::new();
    for (id, token) in tokens
        .iter()
        .map(String::as_str)
        .chain([EOT_TOKEN])
        .enumerate()
    {
        vocab.insert(token.to_owned(), Value::from(id));
    }
    let merges: Vec<Value> = merges
        .iter()
        .map(|&(left, right)| json!([tokens[left], tokens[right]]))
        .collect();
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true
    });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added_token(eot, EOT_TOKEN)],
        "normalizer": null, "pre_tokenizer": byte_level, "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges
        }
    });
    let folder = Folder::of_files(own_files("gpt2", &tokenizer, Some(EOT_TOKEN)));
    HubTokenizer::from_folder(folder).expect("the embedded vocabulary is valid")
}

/// The tokens without `<|endoftext|>` in the order of ids, and the merges as pairs of ids.
fn vocabulary() -> (Vec<String>, Vec<(usize, usize)>) {
    let symbols = byte_symbols();
    let bytes = (0..=255)
        .filter(|&b| is_printable(b))
        .chain((0..=255).filter(|&b| !is_printable(b)));
    let mut tokens: Vec<String> = bytes.map(|b| symbols[usize::from(b)].to_string()).collect();
    let mut merges = Vec::with_capacity(MERGES.len() / 4);
    for pair in MERGES.chunks_exact(4) {
        let left = usize::from(u16::from_le_bytes([pair[0], pair[1]]));
        let right = usize::from(u16::from_le_bytes([pair[2], pair[3]]));
        tokens.push(format!("{}{}", tokens[left], tokens[right]));
        merges.push((left, right));
    }
    (tokens, merges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_merges_are_the_published_ones() {
        let (tokens, merges) = vocabulary();
        let mut text = String::from("#version: 0.2\n");
        for (left, right) in merges {
            text += &format!("{} {}\n", tokens[left], tokens[right]);
        }
        let digest: String =
            sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(&text))
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
        assert_eq!(
            digest,
            "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
        );
    }
}
