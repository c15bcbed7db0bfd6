//! Numeric kernels on slices: all unsafe code, every fast function beside its scalar twin
