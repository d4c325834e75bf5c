// SPDX-License-Identifier: MIT

// memguard.go: memguard's LockedBuffer, in Go: NewBuffer, Destroy, Purge.
//
// A refusal is a panic in this library (core.NewBuffer), after it has destroyed all that is alive
// (core.Panic, whose comment says "it is safe to recover from this panic"): the panic is recovered
// from here, and alloc says no. Freeze and Melt are no `protect`: there is no state without access.
// The table is in table.c, and says what is claimed and why.
package main

// #include <stddef.h>
import "C"

import (
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/awnumar/memguard"
)

var (
	lock    sync.Mutex
	buffers = map[unsafe.Pointer]*memguard.LockedBuffer{}
)

// memguardNew returns nil for a size that no buffer can have, and where memory is refused.
//
//export memguardNew
func memguardNew(size C.size_t) (secret unsafe.Pointer) {
	defer func() {
		if recover() != nil {
			secret = nil
		}
	}()
	buffer := memguard.NewBuffer(int(size))
	if buffer.Size() == 0 {
		return nil
	}
	secret = unsafe.Pointer(unsafe.SliceData(buffer.Bytes()))
	lock.Lock()
	defer lock.Unlock()
	buffers[secret] = buffer
	return secret
}

// memguardDestroy does nothing for what is no LockedBuffer: Go has no second free.
//
//export memguardDestroy
func memguardDestroy(secret unsafe.Pointer) {
	lock.Lock()
	buffer := buffers[secret]
	delete(buffers, secret)
	lock.Unlock()
	if buffer != nil {
		buffer.Destroy()
	}
}

//export memguardPurge
func memguardPurge() {
	memguard.Purge()
	lock.Lock()
	defer lock.Unlock()
	clear(buffers)
}

//export memguardVersion
func memguardVersion() *C.char {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, module := range build.Deps {
			if module.Path == "github.com/awnumar/memguard" {
				return C.CString(module.Version)
			}
		}
	}
	return C.CString("unknown")
}

func main() {}
