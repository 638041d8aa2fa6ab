//! The program `api-keys`.

/// Wipes every piece of memory that is given back, so that no copy of a key outlives its use.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    api_keys::cli::main(std::env::args_os().collect())
}
