package swarm

import "strconv"

// senders is how many IDs a post needs: those of the clients, as whose messages
// are addressed, or those of who publishes over MQTT.
func (p Post) senders() int {
	if p.Topic != "" {
		return p.Connections
	}
	return p.Clients
}

// publications writes CONNECT before the first, and count times PUBLISH.
func (l *letters) publications(b []byte, p, turn, count int) []byte {
	if turn == 0 {
		id, token := "bench-sender-"+strconv.Itoa(p), ""
		if p < len(l.ids) {
			id = l.ids[p]
		}
		if p < len(l.tokens) {
			token = l.tokens[p]
		}
		b = MQTTConnect(b, id, l.User, token, false)
	}
	for i := range count {
		to := device(p, l.Connections, l.Clients, turn+i)
		l.counts[to]++
		l.body = Mark{Kind: Unicast, Stream: uint32(to), Seq: l.counts[to], Sent: l.now()}.Append(l.body[:0], l.Size)
		b = MQTTPublish(b, l.Topic+strconv.Itoa(to), 1, uint16(i+1), l.body)
	}
	return b
}

// confirmed reads the answers to count publications; n is 0 while they are not
// all there.
func (l *letters) confirmed(b []byte, count int) (n int, err error) {
	for count > 0 {
		_, used, done, err := MQTTAnswer(b[n:], nil)
		if err != nil || used == 0 {
			return 0, err
		}
		if n += used; done {
			count--
		}
	}
	return n, nil
}
