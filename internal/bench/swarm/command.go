package swarm

import "time"

// Command is one line on the standard input of a swarm.
type Command struct {
	// Do is connect, expect, look, close, stall, resume, clear or post.
	Do string `json:"do"`
	// Timeout is how long it may take.
	Timeout time.Duration `json:"timeout"`

	// Of connect: Clients of a target, Parallel of them being opened at once. Tokens
	// is a file with the token of a client in each line. Each client
	// acknowledges if Ack says so. Address is the first of the addresses of
	// the clients, counted from 127.0.0.2.
	Target   Target `json:"target,omitzero"`
	Clients  int    `json:"clients,omitempty"`
	Parallel int    `json:"parallel,omitempty"`
	Tokens   string `json:"tokens,omitempty"`
	IDs      string `json:"ids,omitempty"` // a file with the client ID of each, of MQTT
	Ack      bool   `json:"ack,omitempty"`
	Address  int    `json:"address,omitempty"`
	// Lossy says that messages may be missing, to who is slow.
	Lossy bool `json:"lossy,omitempty"`
	// Nap is how long the swarm sleeps when nothing is there to read. 0
	// wakes it with each message, which takes processor time of who sends.
	Nap time.Duration `json:"nap,omitempty"`

	// Of expect: how many messages all clients have got together since they connected.
	Broadcasts uint64 `json:"broadcasts,omitempty"`
	Unicasts   uint64 `json:"unicasts,omitempty"`

	// Of clear: whether times are taken from now on.
	Timed bool `json:"timed,omitempty"`

	Post Post `json:"post,omitzero"`
}

// Answer is one line on the standard output, for each command.
type Answer struct {
	Error   string        `json:"error,omitempty"`
	Took    time.Duration `json:"took"`
	Tally   Tally         `json:"tally"`
	Latency Latency       `json:"latency"`
	// Of post: how many were accepted.
	Accepted int `json:"accepted,omitempty"`
}

// Post has a swarm send messages to its clients over HTTP, each to one, in turns.
type Post struct {
	Address string `json:"address,omitempty"`
	Path    string `json:"path,omitempty"`
	// Secret is the value of the header Authorization.
	Secret string `json:"secret,omitempty"`
	// IDs is a file with the registration ID of a client in each line; without
	// it the body is the bare payload, and the number of the client is appended
	// to the path, or, of a batch, begins the line.
	IDs         string `json:"ids,omitempty"`
	TTL         int    `json:"ttl,omitempty"`
	Size        int    `json:"size,omitempty"` // of a payload
	Connections int    `json:"connections,omitempty"`
	Messages    int    `json:"messages,omitempty"`
	// Batch is how many messages a request has; 0 is one that is no batch.
	Batch int `json:"batch,omitempty"`
	// Clients is how many of the clients get messages; 0 are all.
	Clients int `json:"clients,omitempty"`

	// Of MQTT, if there is a Topic: messages are published with QoS 1 to it with
	// the number of the client appended, Batch of them before the first is
	// answered. IDs and Tokens are those of who sends.
	Topic  string `json:"topic,omitempty"`
	User   string `json:"user,omitempty"`
	Tokens string `json:"tokens,omitempty"`
}
