package floor

// Command is one line on the standard input of a floor.
type Command struct {
	// Count broadcasts are written to all connections, numbered from First on,
	// with payloads of Size bytes.
	First uint32 `json:"first"`
	Count int    `json:"count"`
	Size  int    `json:"size"`
}

// Answer is one line on the standard output: one at the start with the address, then
// one for each command.
type Answer struct {
	Address string `json:"address,omitempty"`
	Writes  int    `json:"writes"`
	Error   string `json:"error,omitempty"`
}
