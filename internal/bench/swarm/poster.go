package swarm

import (
	"bytes"
	"fmt"
	"strconv"
)

// poster is one connection that sends messages, the next when the last was
// answered.
type poster struct {
	fd   int
	rest []byte // of the answer
	turn int    // messages sent
	sent int    // messages in the request that is out
}

// device is the client that the k-th message of a poster is for. Each client
// belongs to one poster, so that the order of its messages is that of requests.
func device(poster, posters, clients, k int) int {
	own := (clients - poster + posters - 1) / posters
	return poster + posters*(k%own)
}

// letters writes requests.
type letters struct {
	Post
	ids    []string
	counts []uint32 // messages sent, by client
	tokens []string // of who sends, over MQTT
	body   []byte
	now    func() int64
}

// request appends a request with count messages from the turn of a poster on.
func (l *letters) request(b []byte, p, turn, count int) []byte {
	if l.Topic != "" {
		return l.publications(b, p, turn, count)
	}
	path := l.Path
	l.body = l.body[:0]
	for i := range count {
		to := device(p, l.Connections, l.Clients, turn+i)
		l.counts[to]++
		mark := Mark{Kind: Unicast, Stream: uint32(to), Seq: l.counts[to], Sent: l.now()}
		switch {
		case l.ids == nil && l.Batch == 0:
			path += strconv.Itoa(to)
		case l.ids == nil:
			l.body = append(strconv.AppendInt(l.body, int64(to), 10), ' ')
		default:
			l.body = append(append(l.body, `{"audience":{"registration_ids":["`...), l.ids[to]...)
			l.body = append(strconv.AppendInt(append(l.body, `"]},"ttl":`...), int64(l.TTL), 10), `,"data":`...)
		}
		if l.body = mark.Append(l.body, l.Size); l.ids != nil {
			l.body = append(l.body, '}')
		}
		if l.Batch > 0 {
			l.body = append(l.body, '\n')
		}
	}
	kind := "application/json"
	if l.Batch > 0 {
		kind = "application/x-ndjson"
	}
	b = fmt.Appendf(b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", path, l.Address, kind, len(l.body))
	if l.Secret != "" {
		b = fmt.Appendf(b, "Authorization: %s\r\n", l.Secret)
	}
	return append(append(b, "\r\n"...), l.body...)
}

// answer reads an answer from the beginning of b; n is 0 while it is not all
// there.
func (l *letters) answer(b []byte, count int) (n int, err error) {
	if l.Topic != "" {
		return l.confirmed(b, count)
	}
	h, at, err := readHead(b)
	if err != nil || at == 0 {
		return 0, err
	}
	var body []byte
	switch {
	case h.chunked:
		var d dechunker
		data, used, err := d.decode(bytes.Clone(b[at:]))
		if err != nil || d.state != chunkDone {
			return 0, err
		}
		body, n = data, at+used
	case h.length < 0:
		return 0, fmt.Errorf("an answer without a length: %.200q", b)
	case len(b) < at+h.length:
		return 0, nil
	default:
		n = at + h.length
		body = b[at:n]
	}
	return n, l.check(h.status, body, count)
}

// check looks whether all messages of a request were accepted.
func (l *letters) check(status int, body []byte, count int) error {
	if status/100 != 2 {
		return fmt.Errorf("the server answers %d: %.300q", status, body)
	}
	if l.Batch == 0 {
		return nil
	}
	lines := bytes.Count(bytes.TrimRight(body, "\n"), []byte("\n")) + 1
	for text := range bytes.SplitSeq(body, []byte("\n")) {
		// An answer has the ID of the message, or says why there is none.
		if l.ids != nil && len(text) > 2 && (!bytes.Contains(text, []byte(`"id":`)) || bytes.Contains(text, []byte(`"error"`))) {
			return fmt.Errorf("a message of the batch is refused: %.300q", text)
		}
	}
	if l.ids != nil && lines == 1 && count > 1 {
		lines = bytes.Count(body, []byte(`"id":`)) // a list rather than lines
	}
	if lines != count {
		return fmt.Errorf("a batch of %d messages has %d answers", count, lines)
	}
	return nil
}
