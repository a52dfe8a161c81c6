//! The `scanout` command-line tool.
fn main() {}
