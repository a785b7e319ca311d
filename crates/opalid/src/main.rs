//! The `opalid` binary.

fn main() -> anyhow::Result<()> {
    opalid::cli::main()
}
