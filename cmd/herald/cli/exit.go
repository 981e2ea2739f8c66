package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/client/device"
)

// The exit codes.
const (
	ExitOK            = 0
	ExitFailure       = 1
	ExitUsage         = 2
	ExitConfiguration = 3
	ExitNotReachable  = 4
	ExitRefused       = 5
)

// failure is an error of a command's work, as opposed to its usage.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// coded is an error with a chosen exit code.
type coded struct {
	code int
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// usage makes a mistake in the usage, with its remedy.
func usage(remedy, format string, args ...any) error {
	return &coded{ExitUsage, herald.Errorf(herald.CodeInvalidRequest, remedy, format, args...)}
}

// configuration marks an error as one of the configuration.
func configuration(err error) error {
	if err == nil {
		return nil
	}
	return &coded{ExitConfiguration, err}
}

// exit prints an error and gives the exit code.
func (c *command) exit(at *cobra.Command, err error) int {
	if err == nil {
		return ExitOK
	}
	var f *failure
	if !errors.As(err, &f) {
		// Cobra's text may span lines: "unknown command ... Did you mean this?"
		text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n\nDid you", ". Did you")), " ")
		c.notef("herald: %s\n  Run \"%s --help\" for the usage.\n", text, at.CommandPath())
		return ExitUsage
	}
	c.report(f.err)
	return codeOf(f.err)
}

func codeOf(err error) int {
	var chosen *coded
	var refused *herald.Error
	switch {
	case errors.As(err, &chosen):
		return chosen.code
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, device.ErrUnreachable):
		return ExitNotReachable
	case errors.As(err, &refused) && (refused.Code == herald.CodeStorageUnavailable || refused.Code == herald.CodeDraining):
		return ExitNotReachable // a server, or a proxy before it, that cannot work now
	case errors.Is(err, device.ErrForbidden), errors.Is(err, device.ErrToken), errors.Is(err, device.ErrReplaced):
		return ExitRefused
	case errors.As(err, &refused) && refused.Code != herald.CodeInternal:
		return ExitRefused
	}
	return ExitFailure
}

// report prints each error in one line, and its remedy in a second.
func (c *command) report(err error) {
	var wrapped *coded
	for errors.As(err, &wrapped) {
		err = wrapped.err
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok && allProblems(many.Unwrap()) {
		for _, one := range many.Unwrap() {
			c.report(one)
		}
		return
	}
	c.notef("herald: %s\n", oneLine(err.Error()))
	if remedy := remedyOf(err); remedy != "" {
		c.notef("  %s\n", oneLine(remedy))
	}
}

// allProblems tells a list of mistakes from an error that wraps two causes.
func allProblems(list []error) bool {
	for _, err := range list {
		if e := new(herald.Error); !errors.As(err, &e) {
			return false
		}
	}
	return true
}

func remedyOf(err error) string {
	var e *herald.Error
	switch {
	case errors.As(err, &e) && e.Remedy != "":
		return e.Remedy
	case errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, device.ErrUnreachable):
		return "Is the server running? Start one with \"herald dev\", or name another with --url."
	case errors.Is(err, device.ErrReplaced):
		return "This device listens in too many terminals: stop one of them."
	}
	return ""
}

// oneLine shows text that may come from elsewhere: in one line, and without
// what would move the cursor of a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case control(r):
			return '\uFFFD'
		}
		return r
	}, s)
}

// control reports whether a letter steers a terminal instead of being shown:
// C0, DEL, C1, and what changes the direction of the text.
func control(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// clean makes text from elsewhere safe to print; it may keep line breaks, with
// an indent.
func clean(s, indent string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = oneLine(lines[i])
	}
	return strings.Join(lines, "\n"+indent)
}
