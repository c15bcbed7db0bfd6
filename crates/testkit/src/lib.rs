//! Test tools: fault-injecting disk, hostile files, golden comparison
