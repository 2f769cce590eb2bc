package nofile

const sysPrlimit64 = 325
