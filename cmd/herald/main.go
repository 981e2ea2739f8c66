// Command herald is the one binary of the Herald push platform: the server,
// and the tools around it. See herald --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones where the system has no database of them

	"github.com/herald-push/herald/cmd/herald/cli"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel() // stop in order
		<-signals
		os.Exit(cli.ExitFailure) // stop at once
	}()
	os.Exit(cli.Main(ctx, os.Args[1:], cli.System()))
}
