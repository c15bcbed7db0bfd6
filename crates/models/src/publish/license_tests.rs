use super::*;

fn names(front_matter: &str) -> Vec<String> {
    in_front_matter(&format!(
        "---\n{front_matter}\n---\n# Model\nlicense: not-this\n"
    ))
}

fn source(name: Option<&str>) -> Source {
    let names = name.map(|name| (name.to_owned(), "its README.md"));
    Source {
        names: names.into_iter().collect(),
        text: None,
    }
}

#[test]
fn front_matter_in_the_spellings_of_the_hub() {
    assert_eq!(names("license: mit"), ["mit"]);
    assert_eq!(names("tags:\n- a\nlicense: \"Apache-2.0\""), ["Apache-2.0"]);
    assert_eq!(
        names("license:\n- mit\n- apache-2.0\ntags:\n- b"),
        ["mit", "apache-2.0"]
    );
    assert_eq!(names("license: other\nlicense_name: llama3"), ["llama3"]);
    assert!(names("tags: []").is_empty());
    assert!(in_front_matter("# Model\n---\nlicense: mit\n---\n").is_empty());
}

#[test]
fn every_approved_text_is_recognised_as_itself_and_nothing_else() {
    for license in APPROVED {
        let text = full_text(license.spdx, Some(&license));
        assert_eq!(recognise(&text), Some(license), "{}", license.spdx);
    }
    let restricted = format!("Commons Clause\n{}", full_text("MIT", approved("mit")));
    assert_eq!(recognise(&restricted), None);
    let both = full_text("MIT", approved("mit")) + &full_text("", approved("apache-2.0"));
    assert_eq!(recognise(&both), None);
    assert_eq!(recognise("Meta Llama 3 Community License Agreement"), None);
    assert_eq!(recognise(""), None);
}

#[test]
fn what_a_source_allows() {
    let cases = [
        ("mit", "MIT", true),
        ("mit", "Apache-2.0", true),
        ("mit", "bsd-3-clause", true),
        ("mit", "CC0-1.0", false),
        ("apache-2.0", "Apache-2.0", true),
        ("apache-2.0", "MIT", false),
        ("bsd-3-clause", "MIT", false),
        ("cc-by-4.0", "MIT", false),
        ("cc0-1.0", "CC-BY-4.0", true),
        ("llama3", "llama3", true),
        ("llama3", "LLAMA3", true),
        ("llama3", "MIT", false),
        ("mit", "llama3", false),
        ("cc-by-nc-4.0", "CC-BY-4.0", false),
    ];
    for (own, asked, allowed) in cases {
        let found = source(Some(own)).under(asked);
        assert_eq!(found.is_ok(), allowed, "{own} → {asked}");
        if let Err(error) = found {
            assert_eq!(error.kind(), tenon_base::Kind::Usage);
            assert!(error.hint_text().is_some());
        }
    }
}

#[test]
fn without_a_known_licence_only_an_approved_one_can_be_named() {
    assert!(source(None).own().is_err());
    assert!(source(None).under("Apache-2.0").is_ok());
    assert!(source(None).under("llama3").is_err());
    assert!(source(None).under("openrail").is_err());
}

#[test]
fn a_custom_licence_is_never_taken_over_in_silence() {
    assert_eq!(source(Some("apache-2.0")).own().unwrap().name, "apache-2.0");
    let reason = source(Some("llama3")).own().unwrap_err();
    assert!(reason.contains("`llama3` is none of MIT"), "{reason}");
}

#[test]
fn names_that_differ_are_a_reason_to_ask() {
    let mut two = source(Some("mit"));
    two.names.push(("apache-2.0".to_owned(), "its config.json"));
    let reason = two.own().unwrap_err();
    assert!(
        reason.contains("`mit` (its README.md), `apache-2.0` (its config.json)"),
        "{reason}"
    );
    assert!(two.under("MIT").is_err());
    assert_eq!(two.under("Apache-2.0").unwrap().name, "apache-2.0");
}

#[test]
fn the_text_of_those_who_have_the_rights_is_kept() {
    let theirs = full_text("MIT", approved("mit")).replace("the authors of the model", "Ada");
    let mut source = source(Some("mit"));
    source.text = Some(theirs.clone());
    let same = source.under("MIT").unwrap();
    assert_eq!((same.text, same.source_text), (theirs.clone(), None));
    let other = source.under("Apache-2.0").unwrap();
    assert!(other.text.contains("Version 2.0, January 2004"));
    assert_eq!(other.source_text, Some(theirs));
}
