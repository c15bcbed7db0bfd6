//! The names of activations in `config.json`, as `transformers` knows them.

use crate::spec::Activation;

/// Every name; the first of equals is written.
pub(super) const NAMES: &[(&str, Activation)] = &[
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluNew),
    ("gelu_pytorch_tanh", Activation::GeluNew),
    ("gelu_python_tanh", Activation::GeluNew),
    ("gelu_accurate", Activation::GeluNew),
    // It has √(2/π) to ten digits, which moves it by less than 1e-11.
    ("gelu_fast", Activation::GeluNew),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
];

/// The name that is written.
pub(super) fn name(activation: Activation) -> Option<&'static str> {
    let found = NAMES.iter().find(|(_, other)| *other == activation);
    found.map(|&(name, _)| name)
}
