//! Placeholder until the formats' tests are written.
