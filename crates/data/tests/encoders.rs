//! Vocabularies of encoders: ids that other tools record, round trips, files that lie.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_data::cells::GeneVocabulary;
use tenon_data::vocab::{
    self, BUILT_IN, ByteTokenizer, CodonTokenizer, ResidueTokenizer, Spec, Specials, Tokenizer,
};

fn recorded() -> Value {
    serde_json::from_str(include_str!("golden/encoders.json")).unwrap()
}

fn special_ids(specials: Specials) -> Value {
    json!({
        "eos": specials.eos, "bos": specials.bos, "pad": specials.pad, "unk": specials.unk,
        "mask": specials.mask, "cls": specials.cls, "sep": specials.sep
    })
}

fn check_cases(name: &str, tokenizer: &dyn Tokenizer, recorded: &Value) {
    assert_eq!(
        recorded["special"],
        special_ids(tokenizer.specials()),
        "{name}"
    );
    let cases = recorded["cases"].as_array().unwrap();
    assert!(cases.len() > 4);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let known = tokenizer.encode_known(text).unwrap();
        assert_eq!(case["ids"], json!(known.ids), "{name}: {text:?}");
        assert_eq!(known.ids, tokenizer.encode(text).unwrap(), "{name}");
    }
}

fn saved(tokenizer: &dyn Tokenizer) -> Box<dyn Tokenizer> {
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(&RealDisk, folder.path()).unwrap();
    let loaded = vocab::load(folder.path()).unwrap();
    assert_eq!(loaded.spec_name(), tokenizer.spec_name());
    assert_eq!(loaded.specials(), tokenizer.specials());
    assert_eq!(loaded.special_ids(), tokenizer.special_ids());
    assert_eq!(loaded.vocab_size(), tokenizer.vocab_size());
    assert!(loaded.files() == tokenizer.files());
    loaded
}

/// As in the example `save_tokenizers`.
fn genes() -> GeneVocabulary {
    let medians = [("ENSG01", 1.5), ("ENSG02", 0.25), ("ENSG03", 3.0)];
    let special = ["<pad>", "<mask>", "<cls>", "<eos>"].into_iter().zip(0..);
    let tokens = special.chain([("ENSG01", 4), ("ENSG02", 6), ("ENSG03", 7)]);
    GeneVocabulary::from_maps(
        &medians.map(|(name, m)| (name.to_owned(), m)).into(),
        &tokens.map(|(name, id)| (name.to_owned(), id)).collect(),
    )
    .unwrap()
}

/// `golden/encoders.py` loaded our files with `transformers` and recorded its ids.
#[test]
fn python_reads_the_same_ids_from_our_files() {
    let recorded = recorded();
    let genes = genes();
    check_cases("genes", &genes, &recorded["genes"]);
    check_cases("genes", saved(&genes).as_ref(), &recorded["genes"]);
    for name in ["esm", "amplify", "codon"] {
        let tokenizer = Spec::parse(name).unwrap().build([]).unwrap();
        assert_eq!(tokenizer.spec_name(), name);
        assert_eq!(recorded[name]["size"], json!(tokenizer.vocab_size()));
        check_cases(name, tokenizer.as_ref(), &recorded[name]);
        check_cases(name, saved(tokenizer.as_ref()).as_ref(), &recorded[name]);
    }
}

/// The same script wrote these folders, with `vocab.txt` and no `tokenizer.json`.
#[test]
fn a_folder_with_a_vocabulary_file_gives_the_ids_of_its_class() {
    let recorded = recorded();
    for name in ["kmers", "bert", "bert_cased", "bert_strip"] {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in recorded[name]["files"].as_object().unwrap() {
            std::fs::write(folder.path().join(file), content.as_str().unwrap()).unwrap();
        }
        let tokenizer = vocab::load(folder.path()).unwrap();
        check_cases(name, tokenizer.as_ref(), &recorded[name]);
        let by_file = vocab::load(&folder.path().join("vocab.txt")).unwrap();
        assert!(by_file.files() == tokenizer.files());
        check_cases(name, saved(tokenizer.as_ref()).as_ref(), &recorded[name]);
        for (file, content) in recorded[name]["files"].as_object().unwrap() {
            let kept = tokenizer.files();
            let (_, kept) = kept.iter().find(|(known, _)| known == file).unwrap();
            assert_eq!(kept.as_slice(), content.as_str().unwrap().as_bytes());
        }
    }
}

#[test]
fn a_vocabulary_file_alone_is_told_by_its_special_tokens() {
    let recorded = recorded();
    for (name, spec_name) in [("kmers", "esm"), ("bert", "file")] {
        let folder = tempfile::tempdir().unwrap();
        let vocab = recorded[name]["files"]["vocab.txt"].as_str().unwrap();
        std::fs::write(folder.path().join("vocab.txt"), vocab).unwrap();
        let tokenizer = vocab::load(folder.path()).unwrap();
        assert_eq!(tokenizer.spec_name(), spec_name);
        assert!(tokenizer.specials().mask.is_some() && tokenizer.specials().cls.is_some());
        saved(tokenizer.as_ref());
    }
}

#[test]
fn the_vocabularies_are_the_published_ones() {
    let esm = ResidueTokenizer::esm();
    let letters = "LAGVSERTIDPKQNFYMHWCXBUZO.-";
    let ids: Vec<u32> = [0].into_iter().chain(4..=30).chain([2]).collect();
    assert_eq!(esm.encode(letters).unwrap(), ids);
    assert_eq!((esm.vocab_size(), esm.eos_id()), (33, Some(2)));
    assert_eq!(esm.special_ids(), [0, 1, 2, 3, 31, 32]);
    let is_text = vocab::text_ids(&esm);
    assert_eq!([2, 3, 4, 31].map(is_text), [false, true, true, false]);
    let amplify = ResidueTokenizer::amplify();
    let ids: Vec<u32> = [3].into_iter().chain(5..=26).chain([4]).collect();
    assert_eq!(amplify.encode("|LAGVSERTIDPKQNFYMHWCB").unwrap(), ids);
    assert_eq!(
        (amplify.vocab_size(), amplify.specials().mask),
        (27, Some(2))
    );
    let codon = CodonTokenizer::new();
    assert_eq!(
        codon.encode("AAAAACAAGAATACATTT").unwrap(),
        [0, 5, 6, 7, 8, 9, 68, 1]
    );
    assert_eq!(
        (codon.vocab_size(), codon.special_ids()),
        (69, vec![0, 1, 2, 3, 4])
    );
}

#[test]
fn a_document_gets_no_second_end() {
    let esm = ResidueTokenizer::esm();
    assert_eq!(
        esm.encode_document("MK").unwrap(),
        esm.encode("MK").unwrap()
    );
    let codon = CodonTokenizer::new();
    assert_eq!(
        codon.encode_document("ATG").unwrap(),
        codon.encode("ATG").unwrap()
    );
}

#[test]
fn unknown_residues_are_counted() {
    let known = |text| {
        ResidueTokenizer::esm()
            .encode_known(text)
            .unwrap()
            .n_unknown
    };
    assert_eq!((known("MKT"), known("MJJT"), known("J J<unk>")), (0, 1, 2));
    let known = |text| {
        ResidueTokenizer::amplify()
            .encode_known(text)
            .unwrap()
            .n_unknown
    };
    assert_eq!((known("MKT"), known("MXXT")), (0, 2));
}

#[test]
fn a_sequence_out_of_frame_is_an_error() {
    let codon = CodonTokenizer::new();
    for (text, part) in [
        ("ATGA", "at byte 4 with 1 of the 3"),
        ("ATGAA", "with 2 of the 3"),
        ("AT<MASK>ATG", "at byte 2 with 2 of the 3"),
        ("é", "at byte 2 with 1 of the 3"),
    ] {
        let error = codon.encode(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.message().contains(part), "{error}");
        assert_eq!(codon.encode_known(text).unwrap().n_unknown, 1, "{text}");
    }
}

#[test]
fn an_ambiguous_codon_is_one_unknown_and_keeps_the_frame() {
    let codon = CodonTokenizer::new();
    let ids = codon.encode("ATGANGTAA").unwrap();
    let whole = codon.encode("ATGTAA").unwrap();
    assert_eq!(ids, [0, whole[1], 2, whole[2], 1]);
    assert_eq!(codon.decode(&ids), "ATGTAA");
}

#[test]
fn a_codon_is_three_bytes_of_text_and_special_ids_are_none() {
    let codon = CodonTokenizer::new();
    assert_eq!((codon.token_len_bytes(5), codon.token_len_bytes(4)), (3, 0));
    assert_eq!(codon.token_len_bytes(69), 0);
    let esm = ResidueTokenizer::esm();
    let lens: Vec<usize> = [4, 31, 32, 99].map(|id| esm.token_len_bytes(id)).to_vec();
    assert_eq!(lens, [1, 0, 0, 0]);
}

fn write(folder: &Path, name: &str, content: &str) {
    std::fs::write(folder.join(name), content).unwrap();
}

#[track_caller]
fn rejects(files: &[(&str, &str)], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(folder.path(), name, content);
    }
    let error = vocab::load(folder.path()).err().expect("an error");
    assert_eq!(error.kind(), Kind::Data, "{error}");
    for part in parts {
        assert!(
            error.to_string().contains(part),
            "{part:?} not in:\n{error}"
        );
    }
}

#[test]
fn vocabulary_files_that_lie() {
    let esm = (
        "tokenizer_config.json",
        r#"{"tokenizer_class": "EsmTokenizer"}"#,
    );
    let bert = (
        "tokenizer_config.json",
        r#"{"tokenizer_class": "BertTokenizer"}"#,
    );
    let vocab = |text| ("vocab.txt", text);
    rejects(&[vocab("\n")], &["the vocabulary is empty", "vocab.txt"]);
    rejects(
        &[vocab("<cls>\n<unk>\n<eos>\nA\nA\n"), esm],
        &["`A` is already that of line 4", "vocab.txt:5"],
    );
    rejects(
        &[vocab("<cls>\n\n<unk>\n"), esm],
        &["an empty line", "vocab.txt:2"],
    );
    rejects(
        &[vocab("<cls>\n<unk>\n"), esm],
        &["the eos token `<eos>` is not"],
    );
    rejects(
        &[vocab("[PAD]\n[UNK]\n[CLS]\n"), bert],
        &["the sep token `[SEP]` is not"],
    );
    rejects(
        &[vocab("a\nb\n")],
        &["neither `<unk>`", "name its `tokenizer_class`"],
    );
    let other = (
        "tokenizer_config.json",
        r#"{"tokenizer_class": "TapexTokenizer"}"#,
    );
    rejects(
        &[vocab("a\nb\n"), other],
        &["the `vocab.txt` of a `TapexTokenizer`"],
    );
    rejects(&[], &["no `tokenizer.json` or `vocab.txt`"]);
}

#[test]
fn added_tokens_must_be_those_of_the_vocabulary_file() {
    let vocab = ("vocab.txt", "<cls>\n<pad>\n<eos>\n<unk>\nA\n<mask>\n");
    let config = |id: u32, token: &str| {
        json!({
            "tokenizer_class": "EsmTokenizer",
            "added_tokens_decoder": {"0": {"content": "<cls>"}, id.to_string(): {"content": token}}
        })
        .to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), vocab.0, vocab.1);
    write(folder.path(), "tokenizer_config.json", &config(5, "<mask>"));
    assert_eq!(vocab::load(folder.path()).unwrap().specials().mask, Some(5));
    for (id, token) in [(6, "<new>"), (4, "<mask>"), (5, "A")] {
        let config = config(id, token);
        let message = format!("the added token `{token}` with id {id}");
        rejects(&[vocab, ("tokenizer_config.json", &config)], &[&message]);
    }
    let added = ("added_tokens.json", r#"{"<new>": 6}"#);
    rejects(&[vocab, added], &["the added token `<new>` with id 6"]);
}

#[test]
fn a_folder_that_calls_itself_ours_but_differs() {
    for name in ["amplify", "codon"] {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = Spec::parse(name).unwrap().build([]).unwrap();
        tokenizer.save(&RealDisk, folder.path()).unwrap();
        write(folder.path(), "tokenizer.json", "{}");
        let error = vocab::load(folder.path()).err().unwrap();
        assert!(
            error.message().contains("its vocabulary differs"),
            "{error}"
        );
    }
}

#[test]
fn every_built_in_name_is_known_and_told() {
    let error = Spec::parse("esn").unwrap_err();
    let hint = error.hint_text().unwrap();
    assert!(BUILT_IN.iter().all(|name| hint.contains(name)));
    assert!(BUILT_IN.iter().all(|name| Spec::parse(name).is_ok()));
}

#[test]
fn tokenizers_of_text_have_no_mask() {
    assert_eq!(ByteTokenizer.specials().mask, None);
    assert_eq!(ByteTokenizer.special_ids(), [256]);
    assert_eq!(vocab::gpt2().special_ids(), [50256]);
}

proptest! {
    #[test]
    fn sequences_come_back(text in "[LAGVSERTIDPKQNFYMHWC]{0,80}", bases in "([ACGT]{3}){0,30}") {
        for tokenizer in [ResidueTokenizer::esm(), ResidueTokenizer::amplify()] {
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(ids.len(), text.len() + 2);
            prop_assert_eq!(tokenizer.decode(&ids), text.as_str());
        }
        let codon = CodonTokenizer::new();
        let ids = codon.encode(&bases).unwrap();
        prop_assert_eq!(ids.len(), bases.len() / 3 + 2);
        prop_assert_eq!(codon.decode(&ids), bases);
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,40}") {
        for tokenizer in [ResidueTokenizer::esm(), ResidueTokenizer::amplify()] {
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
        }
        CodonTokenizer::new().encode_known(&text).unwrap();
    }
}
