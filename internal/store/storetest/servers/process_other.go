//go:build !linux

package servers

import "os/exec"

func (o *owner) attributes(*exec.Cmd) {}

func run(cmd *exec.Cmd, started chan<- error) {
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait()
	}
}
