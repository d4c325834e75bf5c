//! memsec-memfd-descriptors.rs: asks for memory on memfd_secret(2) that is refused, and counts open files.

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn main() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &none) }, 0);
    let before = open_files();
    let refused = (0..100).filter(|_| unsafe { memsec::memfd_secret_sized(32) }.is_none()).count();
    println!("memfd_secret_sized: refused {} times of 100", refused);
    println!("open files: {} more than before", open_files() - before);
}
