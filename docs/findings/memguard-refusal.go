// memguard-refusal.go: asks for one LockedBuffer more than can be locked, and looks at those that were alive.
package main

import (
	"bytes"
	"fmt"
	"os"
	"syscall"

	"github.com/awnumar/memguard"
)

const rlimitMemlock = 8

func mappings() int {
	maps, _ := os.ReadFile("/proc/self/maps")
	return bytes.Count(maps, []byte("\n"))
}

func refused(size int) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	return memguard.NewBuffer(size).Size() == 0
}

func main() {
	limit := syscall.Rlimit{Cur: 4 * 4096, Max: 4 * 4096}
	if err := syscall.Setrlimit(rlimitMemlock, &limit); err != nil {
		panic(err)
	}
	var alive []*memguard.LockedBuffer
	for range 4 {
		alive = append(alive, memguard.NewBuffer(32))
	}
	fmt.Printf("four LockedBuffers, the limit reached: %v\n", count(alive))
	fmt.Printf("a fifth: NewBuffer panics: %v\n", refused(32))
	fmt.Printf("alive of the four: %d\n", count(alive))

	alive = []*memguard.LockedBuffer{memguard.NewBuffer(32), memguard.NewBuffer(32)}
	fmt.Printf("two more, and then one of 2^62 bytes: NewBuffer panics: %v\n", refused(1<<62))
	fmt.Printf("alive of the two: %d\n", count(alive))

	limit.Cur = 0
	_ = syscall.Setrlimit(rlimitMemlock, &limit)
	before := mappings()
	for range 100 {
		refused(32)
	}
	fmt.Printf("a hundred more refusals: at least 100 mappings more: %v\n", mappings()-before >= 100)
}

func count(buffers []*memguard.LockedBuffer) (alive int) {
	for _, buffer := range buffers {
		if buffer.IsAlive() {
			alive++
		}
	}
	return alive
}
