package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// maxBatchLine is how long a line of a batch may be, as a request.
const maxBatchLine = herald.MaxRequestBytes

// pushBatch sends the messages of a file, one JSON object a line as POST
// /v1/messages takes it, and prints a result for each, in their order.
func (c *command) pushBatch(ctx context.Context, cl *client.Client, path string) error {
	in := c.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			var why *fs.PathError
			errors.As(err, &why)
			return usage("Name a file, or - for the standard input.", "--batch %s: %s", path, why.Err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxBatchLine)
	var list []json.RawMessage
	number, sent, refused := 0, 0, 0
	send := func(n int) error {
		answers, err := cl.SendBatchJSON(ctx, list[:n])
		if err != nil {
			return err
		}
		for i, a := range answers {
			if _, rest, ok := bytes.Cut(a, []byte(",")); ok && bytes.HasPrefix(a, []byte(`{"index":`)) {
				a = fmt.Appendf(nil, `{"index":%d,%s`, sent+i, rest) // in the file, not in the batch
				refused++
			}
			c.printf("%s\n", a)
		}
		sent += n
		list = append(list[:0], list[n:]...)
		return nil
	}
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			return usage("Write one message a line, as JSON.", "--batch: line %d is not JSON; the messages before it may have been sent", number)
		}
		list = append(list, bytes.Clone(line))
		if n := client.BatchOf(list); n < len(list) || n == client.MaxBatch {
			if err := send(n); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return usage("Shorten the message.", "--batch: line %d is longer than %d bytes", number+1, maxBatchLine)
		}
		return err
	}
	for len(list) > 0 {
		if err := send(client.BatchOf(list)); err != nil {
			return err
		}
	}
	if refused > 0 {
		return &coded{ExitRefused, herald.Errorf(herald.CodeInvalidRequest, "See the results with an index, which is the place of the message, from 0.", "%d of %d messages were refused", refused, sent)}
	}
	return nil
}
