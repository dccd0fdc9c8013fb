# Toolchain: 64-bit Arm Linux, by Debian's cross compiler; programs run under qemu-user (docker/install-deps.sh --cross).
# QEMU_CPU in the environment is the processor that qemu imitates, without it one with all instructions that it knows.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
