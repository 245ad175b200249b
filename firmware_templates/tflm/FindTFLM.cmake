# SPDX-License-Identifier: Apache-2.0
# Finds TFLite-Micro as its own Makefile leaves it, and defines the target TFLM::tflm.
#
#   TFLM_ROOT         (cache or environment) its source tree after
#                       make -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic
#                            TARGET_ARCH=<arch> [OPTIMIZED_KERNEL_DIR=cmsis_nn] BUILD_TYPE=release microlite
#                     or a tree of its create_tflm_tree.py with the library in lib/
#   TFLM_LIBRARY      (cache) the library, where the tree holds several for the core
#   TFLM_TARGET_ARCH  the core as the Makefile calls it; the caller sets it
set(TFLM_ROOT "$ENV{TFLM_ROOT}" CACHE PATH "Source tree of TFLite-Micro, with its library made")
set(TFLM_LIBRARY "" CACHE FILEPATH "libtensorflow-microlite.a, where TFLM_ROOT holds several")

set(_tflm_third_party "${TFLM_ROOT}/tensorflow/lite/micro/tools/make/downloads" "${TFLM_ROOT}/third_party")
set(_tflm_places NO_CACHE NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
find_path(_tflm_headers tensorflow/lite/micro/micro_interpreter.h PATHS "${TFLM_ROOT}" ${_tflm_places})
find_path(_tflm_flatbuffers flatbuffers/flatbuffers.h
  PATHS ${_tflm_third_party} PATH_SUFFIXES flatbuffers/include ${_tflm_places})
find_path(_tflm_gemmlowp fixedpoint/fixedpoint.h
  PATHS ${_tflm_third_party} PATH_SUFFIXES gemmlowp ${_tflm_places})

if(TFLM_LIBRARY)
  set(_tflm_libraries "${TFLM_LIBRARY}")
else()
  file(GLOB _tflm_libraries
    "${TFLM_ROOT}/gen/cortex_m_generic_${TFLM_TARGET_ARCH}_*/lib/libtensorflow-microlite.a"
    "${TFLM_ROOT}/lib/libtensorflow-microlite.a")
endif()
list(LENGTH _tflm_libraries _tflm_count)

set(_tflm_library "_tflm_library-NOTFOUND")
if(NOT TFLM_ROOT)
  set(_tflm_reason "TFLM_ROOT is not set")
elseif(NOT _tflm_headers)
  set(_tflm_reason "${TFLM_ROOT} has no tensorflow/lite/micro/micro_interpreter.h")
elseif(NOT _tflm_flatbuffers OR NOT _tflm_gemmlowp)
  set(_tflm_reason "${TFLM_ROOT} has no flatbuffers or no gemmlowp, which its Makefile fetches")
elseif(_tflm_count EQUAL 0)
  set(_tflm_reason "${TFLM_ROOT} has no libtensorflow-microlite.a for ${TFLM_TARGET_ARCH}")
elseif(_tflm_count GREATER 1)
  list(JOIN _tflm_libraries " and " _tflm_reason)
  string(PREPEND _tflm_reason "choose by TFLM_LIBRARY between ")
elseif(NOT EXISTS "${_tflm_libraries}")
  set(_tflm_reason "${_tflm_libraries} does not exist")
else()
  set(_tflm_library "${_tflm_libraries}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TFLM
  REQUIRED_VARS _tflm_library _tflm_headers _tflm_flatbuffers _tflm_gemmlowp
  REASON_FAILURE_MESSAGE "${_tflm_reason}")

if(TFLM_FOUND AND NOT TARGET TFLM::tflm)
  add_library(TFLM::tflm STATIC IMPORTED)
  set_target_properties(TFLM::tflm PROPERTIES
    IMPORTED_LOCATION "${_tflm_library}"
    INTERFACE_INCLUDE_DIRECTORIES "${_tflm_headers};${_tflm_flatbuffers};${_tflm_gemmlowp}"
    INTERFACE_LINK_LIBRARIES m)
  # As the library was compiled; without the texts of errors, which nothing here could show.
  set(_tflm_definitions TF_LITE_STATIC_MEMORY NDEBUG TF_LITE_STRIP_ERROR_STRINGS KERNELS_OPTIMIZED_FOR_SPEED)
  file(STRINGS "${_tflm_library}" _tflm_cmsis_nn REGEX "arm_convolve_wrapper_s8" LIMIT_COUNT 1)
  if(_tflm_cmsis_nn)
    list(APPEND _tflm_definitions CMSIS_NN)
  endif()
  set_property(TARGET TFLM::tflm PROPERTY INTERFACE_COMPILE_DEFINITIONS ${_tflm_definitions})
endif()
