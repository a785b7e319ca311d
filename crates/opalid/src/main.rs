//! The `opalid` binary.

fn main() -> std::process::ExitCode {
    opalid::cli::main()
}
