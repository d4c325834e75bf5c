# Draws what report wrote: time for a pair over the number of live secrets. Needs data, picture and last.
set terminal svg size 900,520 background "white" font "sans,12"
set output picture
set logscale xy
set key outside right
set grid ytics
set xlabel "live secrets"
set ylabel "ns for free + allocate + touch"
set title "32-byte secrets, one thread, random replacement"
plot for [i=0:last] data index i using 1:2:3:4 with yerrorlines title columnheader(1)
