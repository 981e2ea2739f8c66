package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"time"
)

// Machine is this machine.
func Machine() System {
	return System{
		Listen:      tryListen,
		Alive:       alive,
		Stat:        os.Stat,
		Sync:        measureSync,
		Free:        freeSpace,
		Descriptors: fileLimits,
		Memory:      totalMemory,
		Kernel:      kernelVersion,
		Now:         time.Now,
		Wait:        func(d time.Duration) { <-time.NewTimer(d).C },
		Zone:        func(name string) error { _, err := time.LoadLocation(name); return err },
		Private:     runtime.GOOS != "windows",
	}
}

func tryListen(address string) error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// alive asks for /livez, which every listener of a server has.
func alive(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/livez", nil)
	if err != nil {
		return false
	}
	client := &http.Client{}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// measureSync writes and syncs a page a few times; the median says how the
// disk is, where the first may pay for the file's creation.
func measureSync(folder string) (time.Duration, error) {
	f, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	page := make([]byte, 4096)
	times := make([]time.Duration, 0, 9)
	for range cap(times) {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// Memory is the bytes of memory that this machine, or its control group, allows;
// 0 if that cannot be known.
func Memory() uint64 {
	n, err := totalMemory()
	if err != nil {
		return 0
	}
	return n
}
