// SPDX-License-Identifier: MIT
//! strongroom.h for Rust: the same tables, field for field. What they mean is said there.
//!
//! Copy this file beside your own, or point `#[path]` at it; it needs no crate.
#![allow(dead_code)]

use std::os::raw::{c_char, c_int, c_void};

pub const ABI_MAJOR: u32 = 1;

pub const SINGLE_INSTANCE: u32 = 1;
pub const THREAD_SAFE: u32 = 2;
pub const USES_FATAL: u32 = 4;
pub const CHILD_MAY_ALLOC: u32 = 8;
pub const CHILD_MAY_FREE: u32 = 16;

pub const ACCESS_NONE: c_int = 0;
pub const ACCESS_READ: c_int = 1;
pub const ACCESS_READ_WRITE: c_int = 2;

#[repr(C)]
pub struct Config {
    pub size: u32,
    pub flags: u32,
    pub lock_budget_bytes: usize,
    pub fatal: Option<unsafe extern "C" fn(*mut c_void, *const c_char)>,
    pub fatal_arg: *mut c_void,
}

#[repr(C)]
pub struct Alloc {
    pub size: u32,
    pub flags: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub library: *const c_char,
    pub claims: *const *const c_char,
    pub min_align: usize,
    pub open: Option<unsafe extern "C" fn(*const Config, *mut *mut c_void) -> c_int>,
    pub alloc: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
    pub free: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize)>,
    pub close: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    pub resize: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize) -> *mut c_void>,
    pub alloc_aligned: Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void>,
    pub usable: Option<unsafe extern "C" fn(*mut c_void, *const c_void) -> usize>,
    pub protect: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int>,
    pub locked_bytes: Option<unsafe extern "C" fn(*mut c_void) -> usize>,
}

/// Nothing offered, nothing claimed: to be filled in by `Alloc { open: ..., ..NOTHING }`.
pub const NOTHING: Alloc = Alloc {
    size: std::mem::size_of::<Alloc>() as u32,
    flags: 0,
    name: std::ptr::null(),
    version: std::ptr::null(),
    library: std::ptr::null(),
    claims: std::ptr::null(),
    min_align: 0,
    open: None,
    alloc: None,
    free: None,
    close: None,
    resize: None,
    alloc_aligned: None,
    usable: None,
    protect: None,
    locked_bytes: None,
};

// What the pointers lead to is constant, and lives as long as the process.
unsafe impl Sync for Alloc {}

/// A NULL-terminated list in a static: of claims, or of tables.
#[repr(transparent)]
pub struct List<T, const N: usize>(pub [*const T; N]);

unsafe impl<T, const N: usize> Sync for List<T, N> {}

/// A C string in the program: `text!("name")`.
macro_rules! text {
    ($text:expr) => {
        concat!($text, "\0").as_ptr() as *const std::os::raw::c_char
    };
}
pub(crate) use text;
