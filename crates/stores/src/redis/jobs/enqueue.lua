-- ARGV: job. Returns its identifier, or that of an equal one which waits.
return enqueue(ARGV[1])
