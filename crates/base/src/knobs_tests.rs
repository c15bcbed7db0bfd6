//! What each variable may hold, and what happens when it holds something else.

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Environment> {
    Environment::read(&|name| {
        let pair = pairs.iter().find(|(key, _)| *key == name);
        pair.map(|(_, value)| OsString::from(value))
    })
}

#[test]
fn absent_and_empty_variables_are_none() {
    let empty: Vec<(&str, &str)> = KNOBS.iter().map(|knob| (knob.name, "")).collect();
    let environment = read(&[]).unwrap();
    assert_eq!(environment, read(&empty).unwrap());
    assert_eq!(environment.threads, None);
    assert_eq!(environment.hub_home, None);
    assert!(!environment.no_color);
}

#[test]
fn values_are_typed() {
    let environment = read(&[
        ("TENON_THREADS", "8"),
        ("TENON_ISA", "avx2"),
        ("TENON_DATA", "/data"),
        ("HF_ENDPOINT", "https://mirror.example/"),
        ("NO_COLOR", "1"),
    ]);
    let environment = environment.unwrap();
    assert_eq!(environment.threads.map(NonZeroUsize::get), Some(8));
    assert_eq!(environment.isa, Some(Isa::Avx2));
    assert_eq!(environment.data, Some(PathBuf::from("/data")));
    assert_eq!(
        environment.hub_endpoint.as_deref(),
        Some("https://mirror.example")
    );
    assert!(environment.no_color);
}

#[test]
fn bad_values_are_usage_errors_that_say_what_is_allowed() {
    let cases = [
        ("TENON_THREADS", "0", "1 to 1024"),
        ("TENON_THREADS", "-2", "1 to 1024"),
        ("TENON_THREADS", "1025", "1 to 1024"),
        ("TENON_THREADS", "four", "all cores"),
        ("TENON_ISA", "avx", "did you mean `avx2`?"),
        ("TENON_ISA", "sse", "`scalar`, `avx2` or `avx512`"),
        ("HF_HUB_OFFLINE", "maybe", "`1` or `0`"),
        ("HF_ENDPOINT", "mirror.example", "https://"),
        ("HF_ENDPOINT", "https://", "https://"),
    ];
    for (name, value, hint) in cases {
        let error = read(&[(name, value)]).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Usage);
        assert!(error.message().contains(name), "{error}");
        assert!(
            error.hint_text().is_some_and(|text| text.contains(hint)),
            "{error}"
        );
    }
}

#[test]
fn the_hub_folder_follows_the_hubs_own_order() {
    let home = |pairs: &[(&str, &str)]| read(pairs).unwrap().hub_home;
    let user = ("HOME", "/u");
    assert_eq!(home(&[user]), Some(PathBuf::from("/u/.cache/huggingface")));
    assert_eq!(
        home(&[user, ("XDG_CACHE_HOME", "/c")]),
        Some("/c/huggingface".into())
    );
    let all = [user, ("XDG_CACHE_HOME", "/c"), ("HF_HOME", "/h")];
    assert_eq!(home(&all), Some("/h".into()));
    let cache = |pairs: &[(&str, &str)]| read(pairs).unwrap().hub_cache;
    assert_eq!(cache(&all), Some("/h/hub".into()));
    assert_eq!(cache(&[all[2], ("HF_HUB_CACHE", "/e")]), Some("/e".into()));
    assert_eq!(cache(&[]), None);
}

#[test]
fn the_hub_is_switched_off_by_what_its_own_tools_take_for_yes() {
    let offline = |value| read(&[("HF_HUB_OFFLINE", value)]).unwrap().hub_offline;
    assert!(["1", "ON", "yes", "True"].into_iter().all(offline));
    assert!(!["0", "off", "NO", "False", ""].into_iter().any(offline));
}

#[test]
fn a_proxy_is_the_one_of_the_scheme_then_the_one_of_all() {
    let pairs = [
        ("https_proxy", "http://low:1"),
        ("HTTPS_PROXY", "http://up:2"),
        ("all_proxy", "http://all:3"),
        ("NO_PROXY", "localhost, .example.org,"),
    ];
    let environment = read(&pairs).unwrap();
    let url = |proxy: &Option<Secret>| proxy.as_ref().map(|url| url.reveal().to_owned());
    assert_eq!(url(&environment.https_proxy).unwrap(), "http://up:2");
    assert_eq!(url(&environment.http_proxy).unwrap(), "http://all:3");
    assert_eq!(environment.no_proxy, ["localhost", ".example.org"]);
    assert_eq!(read(&pairs[3..]).unwrap().https_proxy, None);
}

#[test]
fn the_token_does_not_show_in_debug_output() {
    let environment = read(&[("HF_TOKEN", "hf_abc\n")]).unwrap();
    assert!(!format!("{environment:?}").contains("hf_abc"));
    assert_eq!(
        environment.hub_token.as_ref().map(Secret::reveal),
        Some("hf_abc")
    );
}

#[test]
fn every_knob_is_documented_once() {
    for (row, knob) in KNOBS.iter().enumerate() {
        assert!(knob.doc.ends_with('.'), "{}", knob.name);
        assert!(
            !knob.values.is_empty() && !knob.default.is_empty(),
            "{}",
            knob.name
        );
        assert!(
            KNOBS[..row].iter().all(|other| other.name != knob.name),
            "{}",
            knob.name
        );
    }
    let isa = KNOBS
        .iter()
        .find(|knob| knob.name == "TENON_ISA")
        .map(|knob| knob.values);
    assert_eq!(isa, Some(Isa::ALL.map(Isa::name).join(", ").as_str()));
}
