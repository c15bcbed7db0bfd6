//! A checkpoint on disk as one set of named tensors, whether it is one file or many.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::Dtype;
use tenon_base::files::Disk;
use tenon_base::suggest;
use tenon_base::{Error, Result};

use super::bytes::Bytes;
use super::header::{self, Entry};
use super::map::Map;
use super::torch::{self, Strided};
use super::{convert, index};

/// The weights of an unsharded hub folder.
pub const SINGLE_FILE: &str = "model.safetensors";
/// The index of a sharded hub folder.
pub const INDEX_FILE: &str = "model.safetensors.index.json";
/// The weights of an unsharded hub folder that PyTorch saved.
pub const TORCH_FILE: &str = "pytorch_model.bin";
/// The index of a sharded hub folder that PyTorch saved.
pub const TORCH_INDEX_FILE: &str = "pytorch_model.bin.index.json";

/// A tensor of a checkpoint; its bytes lie in the mapped file, little-endian, row-major, at any
/// alignment. Those of a tensor that PyTorch saved in another order are a copy, made at its first
/// view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorView<'a> {
    /// The name in the file.
    pub name: &'a str,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Outermost dimension first; empty for a scalar.
    pub shape: &'a [usize],
    /// `product(shape)` elements.
    pub bytes: &'a [u8],
}

impl TensorView<'_> {
    /// Number of elements.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values of an `F16`, `BF16`, `F32` or `F64` tensor as f32. Exact except for `F64`, which
    /// is rounded to nearest.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        match self.dtype {
            Dtype::F32 => Ok(convert::each(self.bytes, f32::from_le_bytes)),
            Dtype::F64 => Ok(convert::each(self.bytes, |b| f64::from_le_bytes(b) as f32)),
            Dtype::F16 => Ok(convert::each(self.bytes, |b| {
                convert::f32_from_f16(u16::from_le_bytes(b))
            })),
            Dtype::BF16 => Ok(convert::each(self.bytes, |b| {
                convert::f32_from_bf16(u16::from_le_bytes(b))
            })),
            _ => Err(self.wrong_dtype("a floating-point tensor (F16, BF16, F32, F64)")),
        }
    }

    /// The values of an `F16`, `BF16`, `F32` or `F64` tensor as f64, exactly.
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        match self.dtype {
            Dtype::F64 => Ok(convert::each(self.bytes, f64::from_le_bytes)),
            _ => Ok(self.to_f32()?.into_iter().map(f64::from).collect()),
        }
    }

    /// Its elements, little-endian, each rounded to the nearest of another type of floats; to a
    /// half through f32.
    pub fn rounded_to(&self, dtype: Dtype) -> Result<Vec<u8>> {
        let half = |narrow: fn(f32) -> u16| {
            let values = self.to_f32()?.into_iter();
            Ok(values.flat_map(|x| narrow(x).to_le_bytes()).collect())
        };
        match dtype {
            Dtype::F64 => Ok(self
                .to_f64()?
                .into_iter()
                .flat_map(f64::to_le_bytes)
                .collect()),
            Dtype::F32 => Ok(self
                .to_f32()?
                .into_iter()
                .flat_map(f32::to_le_bytes)
                .collect()),
            Dtype::F16 => half(convert::f16_from_f32),
            Dtype::BF16 => half(convert::bf16_from_f32),
            _ => Err(Error::data(format!("parameters of type {dtype}"))
                .hint("choose f64, f32, f16 or bf16")),
        }
    }

    /// The values of an `I32` or `I64` tensor.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        match self.dtype {
            Dtype::I64 => Ok(convert::each(self.bytes, i64::from_le_bytes)),
            Dtype::I32 => Ok(convert::each(self.bytes, |b| i32::from_le_bytes(b).into())),
            _ => Err(self.wrong_dtype("an integer tensor (I32, I64)")),
        }
    }

    /// The values of an `I32` or `I64` tensor as i32; a value that does not fit is an error.
    pub fn to_i32(&self) -> Result<Vec<i32>> {
        let narrow = |value: i64| {
            i32::try_from(value).map_err(|_| {
                Error::data(format!(
                    "tensor `{}` holds {value}, beyond 32 bits",
                    self.name
                ))
            })
        };
        self.to_i64()?.into_iter().map(narrow).collect()
    }

    fn wrong_dtype(&self, expected: &str) -> Error {
        Error::data(format!(
            "tensor `{}` is {}, expected {expected}",
            self.name, self.dtype
        ))
    }
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Arc<Map>,
    metadata: BTreeMap<String, String>,
    /// In the order of their bytes.
    entries: Vec<Entry>,
    /// By entry: those that are not contiguous.
    strided: BTreeMap<usize, Strided>,
    /// Keys of what a file of PyTorch holds beside tensors.
    skipped: Vec<String>,
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self> {
        let map = Arc::new(Map::open(&path)?);
        let place = path.display().to_string();
        let mut shard = Shard {
            path,
            map: Arc::clone(&map),
            metadata: BTreeMap::new(),
            entries: Vec::new(),
            strided: BTreeMap::new(),
            skipped: Vec::new(),
        };
        if !torch::is_named(&shard.path) {
            let header = header::parse(map.bytes(), &place)?;
            (shard.metadata, shard.entries) = (header.metadata, header.entries);
            return Ok(shard);
        }
        let file = torch::parse(map.bytes(), &place)?;
        shard.skipped = file.skipped;
        for (i, (entry, strided)) in file.tensors.into_iter().enumerate() {
            shard.entries.push(entry);
            shard.strided.extend(strided.map(|strided| (i, strided)));
        }
        Ok(shard)
    }
}

/// An open checkpoint: one file, or the shards of an index.
#[derive(Debug)]
pub struct Checkpoint {
    shards: Vec<Shard>,
    /// Tensor name → (shard, entry).
    places: BTreeMap<String, (usize, usize)>,
}

impl Checkpoint {
    /// Opens a safetensors file, a file of PyTorch (`.bin`, `.pt`, `.pth`, `.ckpt`), an index file,
    /// or a folder with [`SINGLE_FILE`], [`INDEX_FILE`], [`TORCH_FILE`] or [`TORCH_INDEX_FILE`]:
    /// the first that is there, the order in which `transformers` looks.
    ///
    /// Fails when a file lies about itself, when a shard is missing, when index and shards do not
    /// name exactly the same tensors, each once, or when a file of PyTorch holds more than tensors
    /// and plain data: nothing in it is executed. Nothing is read but headers and pickles.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self> {
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            return Self::open_sharded(disk, path);
        }
        if !path.is_dir() {
            return Self::of_shards(vec![Shard::open(path.to_owned())?]);
        }
        let kinds = [(SINGLE_FILE, INDEX_FILE), (TORCH_FILE, TORCH_INDEX_FILE)];
        for (single, index) in kinds {
            let (single, index) = (path.join(single), path.join(index));
            if disk.exists(&single)? {
                return Self::of_shards(vec![Shard::open(single)?]);
            }
            if disk.exists(&index)? {
                return Self::open_sharded(disk, &index);
            }
        }
        Err(Error::data(format!(
            "`{}` has neither `{SINGLE_FILE}` nor `{INDEX_FILE}`, nor `{TORCH_FILE}` or \
             `{TORCH_INDEX_FILE}`",
            path.display()
        )))
    }

    fn open_sharded(disk: &dyn Disk, index_path: &Path) -> Result<Self> {
        let place = index_path.display().to_string();
        let text = String::from_utf8(disk.read(index_path)?)
            .map_err(|_| Error::data("the index is not UTF-8").at(&place))?;
        let weight_map = index::parse(&text, &place)?;
        let mut names: Vec<&String> = weight_map.values().collect();
        names.sort();
        names.dedup();
        let mut shards = Vec::with_capacity(names.len());
        for name in names {
            let shard = index_path.with_file_name(name);
            if !disk.exists(&shard)? {
                return Err(Error::data(format!("the shard `{name}` is missing"))
                    .at(&place)
                    .hint("download or copy every file that the index names"));
            }
            shards.push(Shard::open(shard)?);
        }
        let checkpoint = Self::of_shards(shards)?;
        checkpoint
            .agrees_with(&weight_map)
            .map_err(|error| error.at(place))?;
        Ok(checkpoint)
    }

    fn of_shards(shards: Vec<Shard>) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (i, shard) in shards.iter().enumerate() {
            for (j, entry) in shard.entries.iter().enumerate() {
                if let Some((first, _)) = places.insert(entry.name.clone(), (i, j)) {
                    let first: &Shard = &shards[first];
                    return Err(Error::data(format!(
                        "tensor `{}` is in two shards, `{}` and `{}`",
                        entry.name,
                        first.path.display(),
                        shard.path.display()
                    )));
                }
            }
        }
        Ok(Checkpoint { shards, places })
    }

    fn agrees_with(&self, weight_map: &BTreeMap<String, String>) -> Result<()> {
        for (tensor, file) in weight_map {
            let shard = self
                .places
                .get(tensor)
                .map(|&(shard, _)| &self.shards[shard].path);
            if shard
                .and_then(|path| path.file_name())
                .is_none_or(|name| name != file.as_str())
            {
                return Err(Error::data(format!("tensor `{tensor}` is not in `{file}`")));
            }
        }
        let unlisted = self
            .places
            .keys()
            .find(|tensor| !weight_map.contains_key(*tensor));
        unlisted.map_or(Ok(()), |tensor| {
            Err(Error::data(format!(
                "tensor `{tensor}` is in a shard, but not in the index"
            )))
        })
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorView<'_>> {
        self.places.values().map(|&place| self.view(place))
    }

    /// The tensors as they lie on disk: shard by shard, by offset.
    pub fn tensors_on_disk(&self) -> impl Iterator<Item = TensorView<'_>> {
        let shards = self.shards.iter().enumerate();
        shards.flat_map(move |(i, shard)| (0..shard.entries.len()).map(move |j| self.view((i, j))))
    }

    /// The tensor called `name`; the error names the nearest one.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        self.get(name).ok_or_else(|| {
            let error = Error::data(format!("the checkpoint has no tensor `{name}`"));
            match suggest::nearest(name, self.names()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            }
        })
    }

    /// The tensor called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<TensorView<'_>> {
        self.places.get(name).map(|&place| self.view(place))
    }

    /// Gives the memory behind a tensor that was copied back to the system; it can still be read,
    /// from disk. A name that is not there is passed over.
    pub fn release(&self, name: &str) {
        if let Some(&(shard, entry)) = self.places.get(name) {
            let Shard { map, entries, .. } = &self.shards[shard];
            map.release(entries[entry].range.clone());
        }
    }

    /// The bytes of a view of this checkpoint, for as long as they are wanted: without a copy when
    /// they lie in the file as they are.
    pub fn keep(&self, view: &TensorView<'_>) -> Bytes {
        let mut shards = self.shards.iter();
        let kept = shards.find_map(|shard| {
            let range = shard.map.range_of(view.bytes)?;
            Some(Bytes::mapped(Arc::clone(&shard.map), range))
        });
        kept.unwrap_or_else(|| view.bytes.to_vec().into())
    }

    /// The `__metadata__` strings of all shards; of equal keys the last shard's.
    pub fn metadata(&self) -> BTreeMap<&str, &str> {
        let strings = self.shards.iter().flat_map(|shard| &shard.metadata);
        strings
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    /// The keys of what files of PyTorch hold beside the tensors, such as `epoch`: it was left out,
    /// which is to be reported.
    pub fn skipped(&self) -> impl Iterator<Item = &str> {
        let skipped = self.shards.iter().flat_map(|shard| &shard.skipped);
        skipped.map(String::as_str)
    }

    fn view(&self, (shard, entry): (usize, usize)) -> TensorView<'_> {
        let shard = &self.shards[shard];
        let Entry {
            name,
            dtype,
            shape,
            range,
        } = &shard.entries[entry];
        let spanned = &shard.map.bytes()[range.clone()];
        let strided = shard.strided.get(&entry);
        TensorView {
            name,
            dtype: *dtype,
            shape,
            bytes: strided.map_or(spanned, |strided| strided.bytes(spanned)),
        }
    }
}
