//! The `opalid` binary.

/// An answer is a few dozen small allocations, and a step's are freed by another thread than made them: the system's
/// allocator is slow at both. Without huge pages, of which a server that rests would hold seven.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    opalid::cli::main()
}
