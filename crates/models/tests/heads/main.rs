//! Encoders that tell classes, compared with `transformers`: every output and every gradient. The
//! folders beside this file were made by `make_heads.py`.

mod common;
mod configuration;
mod layouts;
mod numbers;
mod refusals;
mod values;
