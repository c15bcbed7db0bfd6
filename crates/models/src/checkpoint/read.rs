//! A checkpoint on disk as one set of named tensors, whether it is one file or many.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::Dtype;
use tenon_base::files::Disk;
use tenon_base::suggest;
use tenon_base::{Error, Result};

use super::bytes::Bytes;
use super::header::{self, Header};
use super::map::Map;
use super::{convert, index};

/// The weights of an unsharded hub folder.
pub const SINGLE_FILE: &str = "model.safetensors";
/// The index of a sharded hub folder.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// A tensor of a checkpoint; its bytes lie in the mapped file, little-endian, row-major, at any
/// alignment.
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
    header: Header,
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self> {
        let map = Map::open(&path)?;
        let header = header::parse(map.bytes(), &path.display().to_string())?;
        let map = Arc::new(map);
        Ok(Shard { path, map, header })
    }
}

/// An open checkpoint: one safetensors file, or the shards of an index.
#[derive(Debug)]
pub struct Checkpoint {
    shards: Vec<Shard>,
    /// Tensor name → (shard, entry).
    places: BTreeMap<String, (usize, usize)>,
}

impl Checkpoint {
    /// Opens a safetensors file, an index file, or a folder with [`SINGLE_FILE`] or, when that is
    /// absent, [`INDEX_FILE`] (the order in which `transformers` looks).
    ///
    /// Fails when a file lies about itself, when a shard is missing, or when index and shards do
    /// not name exactly the same tensors, each once. Nothing is read but headers.
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
        let single = path.join(SINGLE_FILE);
        if disk.exists(&single)? {
            return Self::of_shards(vec![Shard::open(single)?]);
        }
        let index = path.join(INDEX_FILE);
        if disk.exists(&index)? {
            return Self::open_sharded(disk, &index);
        }
        Err(Error::data(format!(
            "`{}` has neither `{SINGLE_FILE}` nor `{INDEX_FILE}`",
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
            for (j, entry) in shard.header.entries.iter().enumerate() {
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
        shards.flat_map(move |(i, shard)| {
            (0..shard.header.entries.len()).map(move |j| self.view((i, j)))
        })
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
            let Shard { map, header, .. } = &self.shards[shard];
            map.release(header.entries[entry].range.clone());
        }
    }

    /// The bytes of a view of this checkpoint, without a copy and for as long as they are wanted.
    ///
    /// # Panics
    /// When the view is another checkpoint's.
    pub fn keep(&self, view: &TensorView<'_>) -> Bytes {
        let mut shards = self.shards.iter();
        let kept = shards.find_map(|shard| {
            let range = shard.map.range_of(view.bytes)?;
            Some(Bytes::mapped(Arc::clone(&shard.map), range))
        });
        kept.expect("a view of this checkpoint")
    }

    /// The `__metadata__` strings of all shards; of equal keys the last shard's.
    pub fn metadata(&self) -> BTreeMap<&str, &str> {
        let strings = self.shards.iter().flat_map(|shard| &shard.header.metadata);
        strings
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    fn view(&self, (shard, entry): (usize, usize)) -> TensorView<'_> {
        let Shard { map, header, .. } = &self.shards[shard];
        let entry = &header.entries[entry];
        TensorView {
            name: &entry.name,
            dtype: entry.dtype,
            shape: &entry.shape,
            bytes: &map.bytes()[entry.range.clone()],
        }
    }
}
