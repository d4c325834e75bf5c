// SPDX-License-Identifier: MIT
//! memsec.rs: the guarded heap of memsec, in Rust: `malloc_sized`, `free`, `mprotect`; and its second
//! one, on memfd_secret(2).
//!
//! Its documentation (README.md, docs.rs/memsec) calls it a "Rust implementation libsodium/utils" and
//! says no more of each function than its name: so nothing is claimed but what the name of
//! `memfd_secret_sized` says, which is "memfd_secret backed".

#[path = "../../contract/strongroom.rs"]
mod strongroom;

use std::os::raw::{c_char, c_int, c_void};
use std::ptr::{null, null_mut, NonNull};
use strongroom::{text, Alloc, Config, List, ABI_MAJOR, NOTHING};

unsafe extern "C" fn open(_: *const Config, context: *mut *mut c_void) -> c_int {
    *context = null_mut();
    0
}

/// It says None, and no more.
fn pointer(secret: Option<NonNull<[u8]>>) -> *mut c_void {
    secret.map_or_else(
        || {
            unsafe { *libc::__errno_location() = libc::ENOMEM };
            null_mut()
        },
        |secret| secret.as_ptr() as *mut c_void,
    )
}

unsafe extern "C" fn alloc(_: *mut c_void, size: usize) -> *mut c_void {
    pointer(memsec::malloc_sized(size))
}

unsafe extern "C" fn free(_: *mut c_void, secret: *mut c_void, _: usize) {
    memsec::free(NonNull::new_unchecked(secret as *mut u8));
}

unsafe extern "C" fn alloc_memfd(_: *mut c_void, size: usize) -> *mut c_void {
    pointer(memsec::memfd_secret_sized(size))
}

unsafe extern "C" fn free_memfd(_: *mut c_void, secret: *mut c_void, _: usize) {
    memsec::free_memfd_secret(NonNull::new_unchecked(secret as *mut u8));
}

unsafe extern "C" fn protect(_: *mut c_void, secret: *mut c_void, access: c_int) -> c_int {
    let wish = match access {
        strongroom::ACCESS_NONE => memsec::Prot::NoAccess,
        strongroom::ACCESS_READ => memsec::Prot::ReadOnly,
        _ => memsec::Prot::ReadWrite,
    };
    if memsec::mprotect(NonNull::new_unchecked(secret as *mut u8), wish) {
        0
    } else {
        *libc::__errno_location()
    }
}

static MEMFD_CLAIMS: List<c_char, 2> = List([text!("unreadable"), null()]);

static MEMSEC: Alloc = Alloc {
    flags: strongroom::THREAD_SAFE | strongroom::CHILD_MAY_ALLOC | strongroom::CHILD_MAY_FREE,
    name: text!("memsec"),
    version: text!("0.7.0"),
    library: text!("memsec"),
    min_align: 1,
    open: Some(open),
    alloc: Some(alloc),
    free: Some(free),
    protect: Some(protect),
    ..NOTHING
};

static MEMFD: Alloc = Alloc {
    flags: strongroom::THREAD_SAFE,
    name: text!("memsec-memfd"),
    version: text!("0.7.0"),
    library: text!("memsec"),
    claims: MEMFD_CLAIMS.0.as_ptr(),
    min_align: 1,
    open: Some(open),
    alloc: Some(alloc_memfd),
    free: Some(free_memfd),
    protect: Some(protect),
    ..NOTHING
};

static SUBJECTS: List<Alloc, 3> = List([&MEMSEC, &MEMFD, null()]);

#[no_mangle]
pub extern "C" fn strongroom_subjects(abi_major: u32) -> *const *const Alloc {
    if abi_major == ABI_MAJOR {
        SUBJECTS.0.as_ptr()
    } else {
        null()
    }
}
