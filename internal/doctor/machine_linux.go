package doctor

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// totalMemory is the machine's memory, or what the control group allows if
// that is less (cgroup v2, memory.max).
func totalMemory() (uint64, error) {
	var i unix.Sysinfo_t
	if err := unix.Sysinfo(&i); err != nil {
		return 0, err
	}
	total := uint64(i.Totalram) * uint64(i.Unit) //nolint:unconvert // 32 bits on 32-bit systems
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil {
			total = min(total, n)
		}
	}
	return total, nil
}
