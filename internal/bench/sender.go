package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/herald-push/herald/internal/bench/swarm"
)

// sender is a connection that publishes over MQTT, one message after the other.
type sender struct {
	conn net.Conn
	id   uint16
	rest []byte // of what came
}

// senderPatience is how long a broker may take to answer.
const senderPatience = 20 * time.Second

func newSender(ctx context.Context, address, id, user, password string) (_ *sender, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", address)
	if err != nil {
		return nil, err
	}
	s := &sender{conn: conn}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.deadline(); err != nil {
		return nil, err
	}
	if _, err := conn.Write(swarm.MQTTConnect(nil, id, user, password, false)); err != nil {
		return nil, err
	}
	_, err = s.answer()
	return s, err
}

func (s *sender) deadline() error { return s.conn.SetDeadline(time.Now().Add(senderPatience)) }

// answer reads a packet, and answers it where that is needed.
func (s *sender) answer() (done bool, err error) {
	var buf [512]byte
	for {
		out, n, done, err := swarm.MQTTAnswer(s.rest, nil)
		if err != nil {
			return false, fmt.Errorf("bench: who publishes is answered: %w", err)
		}
		if n > 0 {
			s.rest = s.rest[n:]
			if len(out) > 0 {
				_, err = s.conn.Write(out)
			}
			return done, err
		}
		n, err = s.conn.Read(buf[:])
		if err != nil {
			return false, errors.Join(errors.New("bench: who publishes has no answer"), err)
		}
		s.rest = append(s.rest, buf[:n]...)
	}
}

// publish publishes, and waits until the broker has it if the QoS is above 0.
func (s *sender) publish(topic string, qos byte, payload []byte) error {
	if s.id++; s.id == 0 {
		s.id = 1
	}
	if err := s.deadline(); err != nil {
		return err
	}
	if _, err := s.conn.Write(swarm.MQTTPublish(nil, topic, qos, s.id, payload)); err != nil {
		return err
	}
	for qos > 0 {
		if done, err := s.answer(); done || err != nil {
			return err
		}
	}
	return nil
}

// broadcast publishes to the topic that all clients have.
func (s *sender) broadcast(to swarm.Target, first uint32, count, size int) error {
	for i := range uint32(count) {
		m := swarm.Mark{Kind: swarm.Broadcast, Seq: first + i, Sent: time.Now().UnixNano()}
		if err := s.publish(to.Topic, to.Publish, m.Append(nil, size)); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) close() {
	if s != nil {
		_ = s.conn.Close() // it may have ended
	}
}
