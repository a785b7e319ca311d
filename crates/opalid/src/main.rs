//! The `opalid` command.

fn main() {}
