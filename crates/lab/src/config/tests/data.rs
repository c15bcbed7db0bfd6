use super::*;

#[test]
fn data_comes_from_one_place() {
    let source = |text: &str| config(text).data.source;
    let rest = "\ntraining: {num_epochs: 1}";
    for name in ["corpus", "built-in"] {
        let text = format!("data: {{dataset: {name}, corpus: {{persons: 7}}}}{rest}");
        let DataSource::Corpus(spec) = source(&text) else {
            panic!("{text}")
        };
        assert_eq!((spec.n_persons, spec.n_bytes), (7, 1_500_000));
    }
    let path = source(&format!("data: {{path: a/b.txt}}{rest}"));
    assert_eq!(path, DataSource::Path("a/b.txt".into()));
    let known = config(&format!("data: {{dataset: tiny-textbooks}}{rest}"));
    assert_eq!(known.data.text_column.as_deref(), Some("textbook"));
    let both = errors(&format!("data: {{path: a, dataset: b}}{rest}"));
    assert!(both.contains("`data.path` and `data.dataset` are both given"));
    let none = errors("training: {num_epochs: 1}");
    assert!(none.contains("neither `data.dataset` nor `data.path`"));
    for bad in ["/a/b", "./a", "a/b/c", "copus"] {
        let text = errors(&format!("data: {{dataset: {bad}}}{rest}"));
        assert!(text.contains(bad), "{text}");
    }
}

#[test]
fn named_data_is_looked_for_where_the_environment_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tinyshakespeare.txt"), "To be").unwrap();
    let environment = |data: Option<&Path>| {
        Environment::read(&|name| {
            let data = data.filter(|_| name == "TENON_DATA");
            data.map(|data| data.as_os_str().to_owned())
        })
        .unwrap()
    };
    let source = config(SHAKESPEARE).data.source;
    let found = source.find(&environment(Some(folder.path()))).unwrap();
    assert_eq!(found, Some(folder.path().join("tinyshakespeare.txt")));
    let error = source.find(&environment(None)).unwrap_err();
    assert!(error.message().contains("assets/datasets"), "{error}");
    let corpus = config(LEAST).data.source;
    assert_eq!(corpus.find(&environment(None)).unwrap(), None);
}

#[test]
fn layouts_move_their_borders_only_in_a_shuffled_order() {
    use tenon_data::batch::{Borders, Layout, Sight};
    let layouts = |pairs: &[(&str, &str)]| {
        let data = set(pairs).unwrap().config.data;
        (data.training_layout(), data.validation_layout())
    };
    assert_eq!(layouts(&[]), (Layout::OnePerRow, Layout::OnePerRow));
    let packed = |sight, borders| Layout::Packed { sight, borders };
    assert_eq!(
        layouts(&[("data.layout", "packed")]),
        (
            packed(Sight::Document, Borders::MovedEachEpoch),
            packed(Sight::Document, Borders::Fixed)
        )
    );
    let pairs = [
        ("data.layout", "packed"),
        ("data.shuffle", "false"),
        ("data.document_boundaries", "false"),
    ];
    assert_eq!(layouts(&pairs).0, packed(Sight::Block, Borders::Fixed));
}

#[test]
fn a_subset_needs_its_size_and_can_be_switched_off() {
    let subset = |pairs: &[(&str, &str)]| set(pairs).map(|r| r.config.data.subset_size);
    assert_eq!(subset(&[("data.subset_size", "5")]).unwrap(), Some(5));
    let off = [("data.subset_size", "5"), ("data.use_subset", "false")];
    assert_eq!(subset(&off).unwrap(), None);
    assert!(subset(&[("data.use_subset", "true")]).is_err());
}
