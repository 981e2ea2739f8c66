package tcp

import "bytes"

// splitter cuts what comes from a socket into lines. A line ends with a line
// feed; a carriage return before it is dropped. Between lines it holds no
// buffer.
type splitter struct {
	part  []byte // of the line that is coming
	limit int32  // bytes of a line without its end
	long  bool   // a line was too long; nothing more is read
}

// outcome is what a splitter found.
type outcome uint8

const (
	needMore outcome = iota
	gotLine
	tooLong
)

// next takes a line off the front of data. The line is valid until data
// changes or next is called again. After tooLong it gives nothing else.
func (s *splitter) next(data []byte) (line, rest []byte, got outcome) {
	end := bytes.IndexByte(data, '\n')
	whole := end >= 0
	if !whole {
		end = len(data)
	}
	// One byte more than the limit may be the carriage return.
	if s.long = s.long || len(s.part)+end > int(s.limit)+1; s.long {
		s.part = nil
		return nil, nil, tooLong
	}
	line = data[:end]
	if len(s.part) > 0 || !whole {
		s.part = append(s.part, line...)
		line = s.part
	}
	if !whole {
		return nil, nil, needMore
	}
	s.part = nil
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) > int(s.limit) {
		s.long = true
		return nil, nil, tooLong
	}
	return line, data[end+1:], gotLine
}
