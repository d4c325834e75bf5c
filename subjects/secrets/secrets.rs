// SPDX-License-Identifier: MIT
//! secrets.rs: SecretVec of the Rust crate `secrets`, which keeps its bytes in libsodium's guarded heap.
//!
//! needs: libsodium (libsodium-dev)
//!
//! A secret is a SecretVec and the borrow of it that is open: none, for reading, or for writing. Where
//! the crate panics, as it does when it is refused memory, the panic is caught here and alloc says no.
//! In Rust there is no second free, nor one of what is no SecretVec: here both do nothing.
//!
//! Claims are from the documentation of SecretVec, docs.rs/secrets, the list under "They provide the
//! following guarantees". It says "a canary is placed just before the memory location"; nothing of
//! forks, and of other refusals no more than that it panics.

#[path = "../../contract/strongroom.rs"]
mod strongroom;

use secrets::SecretVec;
use std::collections::HashMap;
use std::os::raw::{c_char, c_int, c_void};
use std::panic::{catch_unwind, set_hook};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use strongroom::{ABI_MAJOR, Alloc, Config, List, NOTHING, text};

/// The types of its borrows have no name outside of the crate.
trait Borrow {}
impl<T> Borrow for T {}

/// The borrow goes first: fields are dropped in this order.
struct Secret {
    borrow: Option<Box<dyn Borrow>>,
    bytes: Box<SecretVec<u8>>,
}

unsafe impl Send for Secret {} // one lock around all of them

static SECRETS: Mutex<Option<HashMap<usize, Secret>>> = Mutex::new(None);

fn with_secrets<R>(act: impl FnOnce(&mut HashMap<usize, Secret>) -> R) -> R {
    let mut secrets = SECRETS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    act(secrets.get_or_insert_with(HashMap::new))
}

impl Secret {
    fn new(size: usize) -> (usize, Secret) {
        let mut secret = Secret { borrow: None, bytes: Box::new(SecretVec::new(size, |_| ())) };
        let address = secret.for_writing();
        (address, secret)
    }

    fn for_writing(&mut self) -> usize {
        self.borrow = None;
        let bytes: *mut SecretVec<u8> = &mut *self.bytes;
        // The box stays where it is, and outlives the borrow.
        let mut borrow = unsafe { (*bytes).borrow_mut() };
        let address = borrow.as_mut_ptr() as usize;
        self.borrow = Some(Box::new(borrow));
        address
    }

    fn for_reading(&mut self) {
        self.borrow = None;
        let bytes: *const SecretVec<u8> = &*self.bytes;
        self.borrow = Some(Box::new(unsafe { (*bytes).borrow() }));
    }
}

unsafe extern "C" fn open(_: *const Config, context: *mut *mut c_void) -> c_int {
    set_hook(Box::new(|_| ())); // each is reported by what alloc says
    unsafe { *context = null_mut() };
    0
}

unsafe extern "C" fn alloc(_: *mut c_void, size: usize) -> *mut c_void {
    let Ok((address, secret)) = catch_unwind(|| Secret::new(size)) else {
        unsafe { *libc::__errno_location() = libc::ENOMEM };
        return null_mut();
    };
    with_secrets(|secrets| secrets.insert(address, secret));
    address as *mut c_void
}

unsafe extern "C" fn free(_: *mut c_void, secret: *mut c_void, _: usize) {
    let secret = with_secrets(|secrets| secrets.remove(&(secret as usize)));
    drop(secret);
}

unsafe extern "C" fn protect(_: *mut c_void, secret: *mut c_void, access: c_int) -> c_int {
    with_secrets(|secrets| {
        let Some(secret) = secrets.get_mut(&(secret as usize)) else { return libc::EIO };
        match access {
            strongroom::ACCESS_NONE => secret.borrow = None,
            strongroom::ACCESS_READ => secret.for_reading(),
            _ => _ = secret.for_writing(),
        }
        0
    })
}

static CLAIMS: List<c_char, 10> = List([
    text!("states"),          // "no outstanding borrows: PROT_NONE", "immutable borrows: PROT_READ", ...
    text!("guard-after"),     // "guard pages preceding and following it [...] both set to PROT_NONE"
    text!("underrun-caught"), // "a canary is placed just before [...] the program will immediately abort"
    text!("locked"),          // "mlock(2) is called on the underlying memory"
    text!("no-swap"),         // the same
    text!("zero-on-free"),    // "the underlying memory is zeroed when no longer in use"
    text!("all-zero"),        // the same
    text!("no-dump"),         // lib.rs, Core dumps: "This library explicitly disables core dumps"
    text!("sizes"),           // SecretVec::new: "len", the number of elements
    null(),
]);

static SECRET_VEC: Alloc = Alloc {
    flags: strongroom::SINGLE_INSTANCE | strongroom::THREAD_SAFE,
    name: text!("secrets"),
    version: text!("1.3.0"),
    library: text!("secrets"),
    claims: CLAIMS.0.as_ptr(),
    min_align: 1,
    open: Some(open),
    alloc: Some(alloc),
    free: Some(free),
    protect: Some(protect),
    ..NOTHING
};

static SUBJECTS: List<Alloc, 2> = List([&SECRET_VEC, null()]);

#[unsafe(no_mangle)]
pub extern "C" fn strongroom_subjects(abi_major: u32) -> *const *const Alloc {
    if abi_major == ABI_MAJOR { SUBJECTS.0.as_ptr() } else { null() }
}
