# Concord's port for vcpkg, as an overlay: vcpkg install concord --overlay-ports=packaging/vcpkg
# It builds the checkout that it is in. It has not been run: no vcpkg was at hand.
cmake_path(GET CURRENT_PORT_DIR PARENT_PATH SOURCE_PATH)  # packaging/vcpkg
cmake_path(GET SOURCE_PATH PARENT_PATH SOURCE_PATH)
cmake_path(GET SOURCE_PATH PARENT_PATH SOURCE_PATH)

set(CONCORD_CUDA OFF)
if("cuda" IN_LIST FEATURES)
  set(CONCORD_CUDA ON)
endif()
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DCONCORD_CUDA=${CONCORD_CUDA}
    -DCONCORD_TESTS=OFF
    -DCONCORD_BENCH=OFF
    -DCONCORD_WERROR=OFF
    "-DXXHASH_INCLUDE_DIR=${CURRENT_INSTALLED_DIR}/include")
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME Concord CONFIG_PATH lib/cmake/Concord)
vcpkg_fixup_pkgconfig()

# Both libraries stay in every triplet, because Concord's CMake package names both.
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
