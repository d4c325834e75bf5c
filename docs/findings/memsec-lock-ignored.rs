//! memsec-lock-ignored.rs: malloc_sized where nothing can be locked.

fn main() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &none) }, 0);
    let secret = unsafe { memsec::malloc_sized(32) };
    println!("malloc_sized: {}", if secret.is_some() { "a pointer" } else { "refused" });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmLck")).unwrap();
    println!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
}
