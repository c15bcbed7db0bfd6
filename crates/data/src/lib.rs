//! Everything up to a batch: tokenizers, sources, splits, packing, the cursor that makes resume exact
