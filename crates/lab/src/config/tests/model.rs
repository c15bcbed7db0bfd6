use super::*;
use tenon_models::spec::Encoder;

#[test]
fn sizes_follow_the_family() {
    let sizes = |family: &str| {
        let config = set(&[("model.family", family)]).unwrap().config;
        config.model.architecture().unwrap().clone()
    };
    let (custom, gpt2, llama) = (sizes("custom"), sizes("gpt2"), sizes("llama"));
    assert_eq!(
        (custom.d_model, custom.d_ffn, custom.max_seq_len),
        (128, 128, 128)
    );
    assert_eq!(
        (gpt2.d_model, gpt2.d_ffn, gpt2.max_seq_len),
        (768, 3072, 1024)
    );
    assert_eq!(
        (llama.d_model, llama.d_ffn, llama.max_seq_len),
        (768, 2048, 1024)
    );
    let Family::Gpt2(shape) = gpt2.family else {
        panic!("{gpt2:?}")
    };
    assert!(shape.tie_embeddings && shape.activation == Activation::GeluNew);
    let Family::Decoder(shape) = llama.family else {
        panic!("{llama:?}")
    };
    assert_eq!((shape.n_kv_heads, shape.head_dim), (12, 64));
    let pairs = [
        ("model.family", "gpt2"),
        ("model.d_model", "96"),
        ("model.n_layers", "3"),
    ];
    let small = set(&pairs).unwrap().config;
    let small = small.model.architecture().unwrap();
    assert_eq!((small.d_ffn, small.n_blocks), (384, 3));
}

#[test]
fn a_family_may_be_told_what_it_decides_itself() {
    let agree = [
        ("model.dropout", "0"),
        ("model.activation", "gelu"),
        ("model.tie_embeddings", "false"),
        ("model.norm_eps", "1e-5"),
    ];
    set(&agree).unwrap();
    let contradict = [
        ("model.dropout", "0.1", "`model.dropout` is 0 in"),
        (
            "model.activation",
            "relu",
            "`model.activation` is `gelu` in",
        ),
        (
            "model.tie_embeddings",
            "true",
            "`model.tie_embeddings` is false in",
        ),
        (
            "model.rope_theta",
            "1e4",
            "`model.rope_theta` does not exist in",
        ),
    ];
    for (key, value, message) in contradict {
        let error = set(&[(key, value)]).expect_err(key);
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn formats_of_numbers_are_f32_and_f64() {
    let dtype = |name: &str| set(&[("model.dtype", name)]).map(|r| r.config.model.dtype);
    for name in ["f32", "float32", "torch.float32"] {
        assert_eq!(dtype(name).unwrap(), Dtype::F32);
    }
    assert_eq!(dtype("float64").unwrap(), Dtype::F64);
    for name in ["bf16", "bfloat16", "torch.bfloat16", "float16"] {
        let error = dtype(name).unwrap_err();
        assert!(
            error.message().contains("cannot be computed with yet"),
            "{error}"
        );
    }
    assert!(
        dtype("f23")
            .unwrap_err()
            .to_string()
            .contains("did you mean `f32`?")
    );
    assert!(set(&[("model.device", "cuda")]).is_err());
}

#[test]
fn a_model_to_start_from_says_its_own_sizes() {
    let config = set(&[("model.from", "runs/a/model")]).unwrap().config;
    assert_eq!(
        config.model.origin,
        ModelOrigin::From("runs/a/model".to_owned())
    );
    assert_eq!(config.data.tokenizer, TokenizerChoice::OfModel);
    assert_eq!(config.data.tokenizer_spec().unwrap(), None);
    assert_eq!(config.data.max_length, None);
    let pairs = [
        ("model.from", "runs/a/model"),
        ("model.d_model", "64"),
        ("model.family", "gpt2"),
    ];
    let error = set(&pairs).unwrap_err();
    let messages: Vec<&str> = error.all().map(Error::message).collect();
    assert_eq!(messages.len(), 2, "{error}");
    assert!(
        messages
            .iter()
            .all(|m| m.contains("is given beside `model.from`"))
    );
}

#[test]
fn what_the_model_decides_is_settled_once() {
    let spec = |vocab_size, max_seq_len| {
        Spec::Custom(tenon_models::spec::CustomSpec {
            vocab_size,
            max_seq_len,
            n_blocks: 1,
            n_heads: 1,
            d_model: 8,
            d_ffn: 8,
        })
    };
    let mut fresh = config(LEAST);
    fresh.settle(&spec(97, 128)).unwrap();
    assert_eq!(fresh.model.architecture().unwrap().vocab_size, Some(97));
    assert_eq!(config(&fresh.to_yaml()).model, fresh.model);
    let from = [("model.from", "m")];
    let mut from = set(&from).unwrap().config;
    from.settle(&spec(97, 64)).unwrap();
    assert_eq!(from.data.max_length, Some(64));
    from.data.max_length = Some(65);
    assert_eq!(from.settle(&spec(97, 64)).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn a_vocabulary_holds_at_least_the_tokenizers_ids() {
    let sizes = |vocab_size: &str| {
        let pairs = [("model.family", "llama"), ("model.vocab_size", vocab_size)];
        let config = set(&pairs).unwrap().config;
        config.model.architecture().unwrap().clone()
    };
    let bytes = VocabSpec::Byte.build([]).unwrap();
    let n_ids = bytes.vocab_size();
    let spec = sizes(&n_ids.to_string()).spec(&*bytes).unwrap();
    assert_eq!(spec.vocab_size(), n_ids);
    let Spec::Decoder(llama) = &spec else {
        panic!("{spec:?}")
    };
    assert_eq!(llama.eos_ids, Vec::from_iter(bytes.eos_id()));
    assert_eq!(sizes("512").spec(&*bytes).unwrap().vocab_size(), 512);
    let error = sizes("256").spec(&*bytes).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn heads_say_what_they_tell_of_what() {
    let head = |pairs: &[(&str, &str)]| set(pairs).unwrap().config.model.head;
    assert_eq!(head(&[]), None);
    let plain = head(&[("model.head", "sequence")]).unwrap();
    assert_eq!(
        (plain.of, plain.problem, plain.labels),
        (HeadOf::Sequence, None, None)
    );
    let numbers = [
        ("model.head", "sequence"),
        ("model.problem_type", "regression"),
    ];
    assert_eq!(head(&numbers).unwrap().problem, Some(Problem::Regression));
    let tokens = [
        ("model.head", "token"),
        ("model.problem_type", "regression"),
    ];
    let tokens = set(&tokens).unwrap();
    assert_eq!(tokens.config.model.head.unwrap().problem, None);
    assert!(
        tokens.notes[0].contains("one class a token"),
        "{:?}",
        tokens.notes
    );
    let twice = [("model.head", "token"), ("model.labels", "[H, E, H]")];
    let error = set(&twice).unwrap_err().to_string();
    assert!(error.contains("names `H` twice"), "{error}");
    let alone = set(&[("model.labels", "[H, E]")]).unwrap();
    assert!(
        alone.notes[0].contains("without `model.head`"),
        "{:?}",
        alone.notes
    );
}

#[test]
fn labels_stand_in_one_column_or_several() {
    let columns = |value| {
        let pairs = [("model.head", "sequence"), ("data.label_column", value)];
        set(&pairs).unwrap().config.data.label_columns.unwrap()
    };
    assert_eq!(columns("kind"), ["kind"]);
    assert_eq!(columns("[b, a]"), ["b", "a"]);
}

/// CodonFM has two published variants; the plain one decides more itself.
#[test]
fn inner_norms_choose_the_variant_of_codonfm() {
    let of = |pairs: &[(&str, &str)]| {
        let family = [("model.family", "codonfm")];
        let reading = set(&[&family[..], pairs].concat())?;
        let family = reading.config.model.architecture().unwrap().family.clone();
        let Family::Encoder(shape) = family else {
            panic!("{family:?}")
        };
        Ok::<_, Error>((shape.family, shape.activation))
    };
    let with = (Encoder::Encodon { rope_theta: 1e5 }, Activation::Gelu);
    let without = (Encoder::PlainEncodon, Activation::GeluNew);
    let plain = ("model.inner_norms", "false");
    assert_eq!(of(&[]).unwrap(), with);
    assert_eq!(of(&[("model.inner_norms", "true")]).unwrap(), with);
    assert_eq!(of(&[plain]).unwrap(), without);
    let said = [
        plain,
        ("model.rope_theta", "1e4"),
        ("model.activation", "gelu_new"),
    ];
    assert_eq!(of(&said).unwrap(), without);
    for (key, value, says) in [
        ("model.rope_theta", "1e5", "is 10000"),
        ("model.activation", "gelu", "is `gelu_new`"),
        ("model.tie_embeddings", "true", "is false"),
    ] {
        let error = of(&[plain, (key, value)]).unwrap_err();
        let message =
            format!("`{key}` {says} in models of the family `codonfm` without inner norms");
        assert!(error.message().contains(&message), "{error}");
    }
    let wrong = of(&[("model.inner_norm", "false")]).unwrap_err();
    assert!(
        wrong
            .to_string()
            .contains("did you mean `model.inner_norms`?"),
        "{wrong}"
    );
    for info in FamilyInfo::ALL.iter().filter(|info| info.name != "codonfm") {
        let pairs = [("model.family", info.name), plain];
        let error = set(&pairs).expect_err(info.name);
        let message = "`model.inner_norms` does not exist in models of the family";
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// ESM-1b is ESM-2 with learned positions and a norm behind the embedding.
#[test]
fn learned_positions_make_esm2_an_esm1b() {
    let of = |pairs: &[(&str, &str)]| {
        let family = [("model.family", "esm2")];
        let reading = set(&[&family[..], pairs].concat())?;
        let family = reading.config.model.architecture().unwrap().family.clone();
        let Family::Encoder(shape) = family else {
            panic!("{family:?}")
        };
        Ok::<_, Error>(shape.family)
    };
    let esm = |rope_theta: Option<f64>| Encoder::Esm {
        token_dropout: true,
        embed_norm: rope_theta.is_none(),
        rope_theta,
    };
    let key = "model.position_embedding_type";
    let length = |pairs: &[(&str, &str)]| {
        let pairs = [&[("model.family", "esm2")], pairs].concat();
        let config = set(&pairs).unwrap().config;
        config.model.architecture().unwrap().max_seq_len
    };
    assert_eq!(length(&[]), 1026);
    assert_eq!(length(&[(key, "absolute")]), 1024);
    let given = [(key, "absolute"), ("model.max_seq_len", "1026")];
    assert_eq!(length(&given), 1026);
    assert_eq!(of(&[]).unwrap(), esm(Some(1e4)));
    let rotary = [(key, "rotary"), ("model.rope_theta", "500")];
    assert_eq!(of(&rotary).unwrap(), esm(Some(500.0)));
    assert_eq!(of(&[(key, "absolute")]).unwrap(), esm(None));
    let both = [(key, "absolute"), ("model.rope_theta", "500")];
    let error = of(&both).unwrap_err();
    let message = "`model.rope_theta` does not exist in models of the family `esm2` with learned";
    assert!(error.message().contains(message), "{error}");
    let near = of(&[(key, "absolut")]).unwrap_err();
    assert!(
        near.to_string().contains("did you mean `absolute`?"),
        "{near}"
    );
    for (family, own, other) in [
        ("bert", "absolute", "rotary"),
        ("llama", "rotary", "absolute"),
    ] {
        set(&[("model.family", family), (key, own)]).unwrap();
        let error = set(&[("model.family", family), (key, other)]).unwrap_err();
        let message = format!("`{key}` is `{own}` in models of the family `{family}`");
        assert!(error.message().contains(&message), "{error}");
    }
}
