//go:build faults

package faults

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The environment variables of the tag "faults".
const (
	pointEnv = "FAULTS_POINT" // NAME:N, end the process at the N-th pass of a point
	clockEnv = "FAULTS_CLOCK" // a duration by which the clock is ahead
	syncEnv  = "FAULTS_SYNC"  // OFF or NORMAL in place of FULL
	// Not empty: memory has room for next to nothing, and what is for large records
	// is done for small ones.
	crampedEnv = "FAULTS_CRAMPED"
)

var passes struct {
	mu sync.Mutex
	n  int
}

// Point ends the process, as kill -9 does, if it is the one that the
// environment names, at the pass that it names.
func Point(name string) {
	want, count, _ := strings.Cut(os.Getenv(pointEnv), ":")
	if want != name {
		return
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		n = 1
	}
	passes.mu.Lock()
	defer passes.mu.Unlock()
	if passes.n++; passes.n != n {
		return
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill() // what comes next does not run where signals are at once
	}
	os.Exit(137)
}

var ahead = sync.OnceValue(func() time.Duration {
	d, _ := time.ParseDuration(os.Getenv(clockEnv))
	return d
})

// Now is the clock, ahead by what the environment says.
func Now() time.Time { return time.Now().Add(ahead()) }

// Synchronous is the SQLite setting of that name.
func Synchronous() string {
	if s := os.Getenv(syncEnv); s != "" {
		return s
	}
	return "FULL"
}

// Cramped reports whether the server is to keep next to nothing in memory.
func Cramped() bool { return os.Getenv(crampedEnv) != "" }
