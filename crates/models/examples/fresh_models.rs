//! Writes fresh models with inputs and predicted logits for `scripts/record_roundtrip.py`:
//! `cargo run -p tenon-models --example fresh_models -- OUT`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use tenon_base::files::RealDisk;
use tenon_base::{Error, Result};
use tenon_engine::DType;
use tenon_engine::Isa;
use tenon_engine::cpu::Cpu;
use tenon_models::checkpoint::{self, Dtype, Order, Slot};
use tenon_models::predict::{Options, predict_files};

#[path = "../tests/whole/fresh.rs"]
mod fresh;

/// A full row, a right-padded and a left-padded one.
const LENGTHS: [(usize, usize); 3] = [(0, 24), (0, 15), (9, 24)];

fn write_inputs(path: &Path) -> Result<()> {
    let cell = |row: usize, column: usize| ((row * 31 + column * column * 7 + column) % 71) as i64;
    let width = 24;
    let grid = |value: &dyn Fn(usize, usize) -> i64| -> Vec<u8> {
        let cells = LENGTHS.iter().enumerate().flat_map(|(row, &(from, to))| {
            (0..width).map(move |column| (row, column, (from..to).contains(&column)))
        });
        let cells = cells.map(|(row, column, real)| if real { value(row, column) } else { 0 });
        cells.flat_map(i64::to_le_bytes).collect()
    };
    let tensors = BTreeMap::from([
        ("input_ids", grid(&cell)),
        ("attention_mask", grid(&|_, _| 1)),
    ]);
    let slot = |name: &&str| Slot {
        name: (*name).to_owned(),
        dtype: Dtype::I64,
        shape: vec![LENGTHS.len(), width],
    };
    let slots: Vec<Slot> = tensors.keys().map(slot).collect();
    let fill =
        &mut |slot: &Slot, file: &mut dyn Write| file.write_all(&tensors[slot.name.as_str()]);
    checkpoint::write(
        &RealDisk,
        path,
        &slots,
        Order::Sorted,
        &BTreeMap::new(),
        fill,
    )
}

fn main() -> Result<()> {
    let out = std::env::args_os().nth(1).map(PathBuf::from);
    let out = out.ok_or_else(|| Error::usage("the output folder is missing"))?;
    fresh::write(&RealDisk, &out)?;
    let inputs = out.join("inputs.safetensors");
    write_inputs(&inputs)?;
    for (name, ..) in fresh::models()? {
        for dtype in [DType::F32, DType::F64] {
            let logits = out.join(format!("{name}.{}.safetensors", dtype.name()));
            let options = Options {
                dtype,
                grads: false,
            };
            let device = Box::new(Cpu::new(1, Isa::detect()));
            predict_files(
                &RealDisk,
                &out.join(name),
                &inputs,
                &logits,
                options,
                device,
            )?;
        }
    }
    Ok(())
}
