package mqtt

// NextNumber says which packet identifier the next publication without a position
// gets, if that is free.
func (b *Broker) NextNumber(id uint16) { b.counts.numbers.Store(uint64(id) - 2 - firstNumber) }
