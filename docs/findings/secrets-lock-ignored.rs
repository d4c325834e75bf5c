//! secrets-lock-ignored.rs: a SecretVec where nothing can be locked.

fn main() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &none) }, 0);
    let secret = secrets::SecretVec::<u8>::zero(32);
    println!("SecretVec::zero: {} bytes", secret.len());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmLck")).unwrap();
    println!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
}
