//! memsec-memfd-child.rs: what a forked child sees, and can do, of a secret on memfd_secret(2).

fn main() {
    let mut secret = unsafe { memsec::memfd_secret_sized(32) }.expect("memfd_secret(2) is refused");
    unsafe { secret.as_mut().fill(b'S') };
    match unsafe { libc::fork() } {
        0 => unsafe {
            let sees = secret.as_ref().iter().all(|byte| *byte == b'S');
            secret.as_mut().fill(b'C');
            libc::_exit(sees as i32)
        },
        child => {
            let mut status = 0;
            unsafe { libc::waitpid(child, &mut status, 0) };
            println!("the child reads the secret: {}", libc::WEXITSTATUS(status) == 1);
        }
    }
    let changed = unsafe { secret.as_ref() }.iter().filter(|byte| **byte == b'C').count();
    println!("bytes of the parent's secret that the child has changed: {} of 32", changed);
}
