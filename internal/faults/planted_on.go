//go:build planted

package faults

import (
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"sync"
)

// plantedEnv is the environment variable of the tag "planted": NAME:N, the
// defect NAME acts once in N times.
const plantedEnv = "FAULTS_PLANTED"

var calls struct {
	mu sync.Mutex
	n  int
}

func planted(bug string) (every int, ok bool) {
	name, n, _ := strings.Cut(os.Getenv(plantedEnv), ":")
	if name != bug {
		return 0, false
	}
	every, err := strconv.Atoi(n)
	return max(every, 1), err == nil || n == ""
}

// Planted reports whether a defect is to act now.
func Planted(bug string) bool {
	every, ok := planted(bug)
	if !ok {
		return false
	}
	calls.mu.Lock()
	defer calls.mu.Unlock()
	calls.n++
	return calls.n%every == 0
}

// PlantedIn reports whether a defect is to act on something, always the same
// way for the same thing.
func PlantedIn(bug string, what []byte) bool {
	every, ok := planted(bug)
	return ok && crc32.ChecksumIEEE(what)%uint32(every) == 0
}
